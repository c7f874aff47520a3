import { nodeText } from './text';

/** Of the type's locales: what the node does, with the words that people look for it by. */
const DOES = 'palette.does';

/**
 * The `paletteLabel` of a node type: `label`, by which the list that adds a node to the canvas finds it also by what
 * it does. The editor's filters search nothing else than these labels and the types.
 */
export function paletteLabel(type: string, label: string): () => string {
  RED.events.on('registry:node-type-added', (added) => {
    if (added !== type) return;
    // What is searched may say more than what is shown; the palette has made its element by now.
    $(`.red-ui-palette-node[data-palette-type="${type}"]`).attr(
      'data-palette-label',
      `${label} ${nodeText(type, DOES)}`,
    );
  });
  return () => {
    if (!isListing()) return label;
    const does = nodeText(type, DOES);
    const searched = `${label}: ${does}`;
    // The list searches what it was given, whatever its row shows then.
    queueMicrotask(() => rowOf(searched).text(label).attr('title', does));
    return searched;
  };
}

function rowOf(searched: string): JQuery {
  return $('#red-ui-type-search .red-ui-search-result-node-label').filter(
    (_i, row) => row.textContent?.startsWith(searched) === true,
  );
}

/** That list asks for the labels after it was emptied; at any other time it is full, or not there yet. */
function isListing(): boolean {
  const list = $('#red-ui-type-search ol');
  return list.length > 0 && list.children().length === 0;
}

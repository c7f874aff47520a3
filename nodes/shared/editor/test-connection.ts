import type { TestedPart, TestReport } from '../test-report';
import { button, type Form } from './form';
import { lookup, openConfig } from './lookup';
import { text } from './text';

const LOOKS = {
  ok: ['check', 'jetforce-ok'],
  warning: ['exclamation-triangle', 'jetforce-warning'],
  error: ['exclamation-circle', 'jetforce-error'],
} as const;

/** Fills the form's `.jetforce-test`: a button that tries the connection with what the form shows now. */
export function testConnection(node: EditorNode, form: Form, source = () => openConfig(node, form)): void {
  const test = button(text('test'), 'plug');
  const result = $('<div class="jetforce-result" role="status">');
  form.root.find('.jetforce-test').empty().append(test, result);

  const show = (sentence: string, icon: string, style = '') =>
    result
      .attr('class', `jetforce-result ${style}`)
      .empty()
      .append($('<i>').addClass(`fa fa-${icon}`), ' ', $('<span>').text(sentence));

  const run = async () => {
    test.prop('disabled', true);
    show(text('testing'), 'circle-o-notch fa-spin');
    try {
      const { message, parts = [] } = await lookup<TestReport>(source(), 'test');
      const [icon, style] = LOOKS[worst(parts)];
      show(message, icon, style);
      result.append(parts.map(partLine));
    } catch (error) {
      show(error instanceof Error ? error.message : String(error), 'exclamation-circle', 'jetforce-error');
    } finally {
      test.prop('disabled', false);
    }
  };
  test.on('click', () => void run());
}

function worst(parts: readonly TestedPart[]): TestedPart['state'] {
  const states = parts.map(({ state }) => state);
  return (['error', 'warning'] as const).find((state) => states.includes(state)) ?? 'ok';
}

function partLine({ state, text: sentence }: TestedPart): JQuery {
  const [icon, style] = LOOKS[state];
  return $('<div>')
    .addClass(style)
    .append($('<i>').addClass(`fa fa-${icon}`), ' ', $('<span>').text(sentence));
}

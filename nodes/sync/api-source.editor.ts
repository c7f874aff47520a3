import { credentialsFor } from '../shared/editor/credentials';
import { chooseOnly, formOf, openForm, setting, showHints, type Form } from '../shared/editor/form';
import { type Choice, lookup, openConfig } from '../shared/editor/lookup';
import { secretText } from '../shared/editor/secret';
import { defaultsOf, keepUpToDate, saveNumbers } from '../shared/editor/settings';
import { testConnection } from '../shared/editor/test-connection';
import { text } from '../shared/editor/text';
import { newUuid } from '../shared/editor/uuid';
import { apiSource } from './api-source.settings';
import { showAssociations } from './providers/associations.editor';
import { collectionList, readCollections } from './providers/collections.editor';
import { showComparing } from './providers/compare.editor';
import { showCost } from './providers/cost.editor';
import { definitionEditor, type DefinitionEditor } from './providers/definition.editor';
import { fillProviders, showLogin } from './providers/login.editor';
import { tryPages } from './providers/try.editor';

let definition: DefinitionEditor | undefined;

RED.nodes.registerType('api-source', {
  category: 'config',
  defaults: { ...defaultsOf(apiSource) },
  credentials: credentialsFor(apiSource),
  label() {
    const names = (this.collections ?? []).map((collection) => collection.replace(/^\w+:/, ''));
    const provider = setting(this, 'provider');
    return this.name || (names.length > 0 ? `${provider}: ${names.join(', ')}` : provider);
  },
  labelStyle() {
    return this.name ? 'node_label_italic' : '';
  },
  oneditprepare() {
    fillProviders(this, formOf(this), setting(this, 'provider'));
    const form = openForm(this);
    if (!RED.nodes.node(this.id)) chooseOnly(this, form, 'org');
    const source = () => {
      const shown = openConfig(this, form);
      return { ...shown, config: { ...shown.config, collections: readCollections(form) } };
    };
    collectionList(form, setting(this, 'collections'), (typed) =>
      lookup<Choice[]>(source(), 'collections', { typed }),
    );
    definition = definitionEditor(this, form, source);
    secretText(form.input('privateKey'));
    syncId(form);
    testConnection(this, form, source);
    tryPages(this, form, source);
    form.watch(() => {
      $('#jetforce-polling').prop('hidden', !polls(form));
      showComparing(form);
      showLogin(this, form);
      showAssociations(form);
      showCost(this, form);
    });
    showHints(form, () => hints(this, form).map((key) => this._(`hint.${key}`)));
  },
  oneditsave() {
    const form = formOf(this);
    this.collections = readCollections(form);
    if (form.text('provider') !== 'salesforce') form.input('org').val('_ADD_'); // none
    saveNumbers(this, form, apiSource);
    definition?.close();
  },
  oneditcancel() {
    definition?.close();
  },
});
keepUpToDate(apiSource);

/** A sync has its id from its first day; one that was written by hand without gets it here. */
function syncId(form: Form): void {
  const input = form.input('syncId');
  const renew = () => input.val(newUuid()).trigger('change');
  if (form.text('syncId') === '') renew();
  $('#jetforce-new-sync-id').attr('title', text('newId')).on('click', renew);
}

/** Whether changes are asked for again and again, rather than told by the API. */
function polls(form: Form): boolean {
  const provider = form.text('provider');
  return provider === 'salesforce' ? form.text('mode') === 'poll' : provider !== 'flow';
}

function hints(node: EditorNode, form: Form): string[] {
  const found: string[] = [];
  const id = form.text('syncId');
  let shared = false;
  RED.nodes.eachConfig((other) => {
    shared ||= other.type === node.type && other.id !== node.id && id !== '' && other['syncId'] === id;
    return true;
  });
  if (shared) found.push('sharedId');
  return found;
}

import { installOperationsStyle } from './view/style.editor';
import { OperationsTab } from './view/tab.editor';
import { say } from './view/text.editor';

const ID = 'jetforce-operations';

if (RED.user.hasPermission('jetforce.read')) {
  installOperationsStyle();
  const tab = new OperationsTab(RED.user.hasPermission('jetforce.write'));
  RED.sidebar.addTab({
    ...{ id: ID, name: say('tab'), label: say('label'), iconClass: 'fa fa-heartbeat' },
    content: tab.content,
    enableOnEdit: true,
    onchange: () => void tab.look(),
  });
  RED.actions.add('jetforce:show-operations', () => RED.sidebar.show(ID), { label: say('tab') });
}

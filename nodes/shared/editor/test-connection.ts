import { button, type Form } from './form';
import { lookup, openConfig } from './lookup';
import { text } from './text';

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
      const { message } = await lookup<{ message: string }>(source(), 'test');
      show(message, 'check', 'jetforce-ok');
    } catch (error) {
      show(error instanceof Error ? error.message : String(error), 'exclamation-circle', 'jetforce-error');
    } finally {
      test.prop('disabled', false);
    }
  };
  test.on('click', () => void run());
}

import type { Check } from '../checks';
import { button, type Form } from './form';
import { lookup, openConfig } from './lookup';
import { text } from './text';

const LOOKS: Record<Check['state'], { icon: string; style: string }> = {
  good: { icon: 'check', style: 'jetforce-ok' },
  fair: { icon: 'exclamation-triangle', style: 'jetforce-fair' },
  bad: { icon: 'exclamation-circle', style: 'jetforce-error' },
};

/**
 * Fills the form's `.jetforce-test`: a button that tries the connection with what the form shows now, and a line for
 * each part of it.
 */
export function testConnection(node: EditorNode, form: Form, source = () => openConfig(node, form)): void {
  const test = button(text('test'), 'plug');
  const result = $('<div class="jetforce-result" role="status">');
  form.root.find('.jetforce-test').empty().append(test, result);

  const show = (...lines: JQuery[]) => result.empty().append(lines);
  const run = async () => {
    test.prop('disabled', true);
    show(line(text('testing'), 'circle-o-notch fa-spin'));
    try {
      const { checks } = await lookup<{ checks: Check[] }>(source(), 'test');
      show(...checks.map(checkLine));
    } catch (error) {
      const { icon, style } = LOOKS.bad;
      show(line(error instanceof Error ? error.message : String(error), icon, style));
    } finally {
      test.prop('disabled', false);
    }
  };
  test.on('click', () => void run());
}

function checkLine({ state, text: key, values, error }: Check): JQuery {
  const said = text(key, values);
  const { icon, style } = LOOKS[state];
  return line(error ? `${said}: ${error.message}` : said, icon, style).attr('title', text(`check_${state}`));
}

function line(sentence: string, icon: string, style = ''): JQuery {
  return $('<div>')
    .addClass(style)
    .append($('<i>').addClass(`fa fa-${icon}`).attr('aria-hidden', 'true'), ' ', $('<span>').text(sentence));
}

import { type Form } from '../../shared/editor/form';
import { configNode, lookup } from '../../shared/editor/lookup';
import { text } from '../../shared/editor/text';
import type { OutlookParams, ShownDifference, StreamOutlook } from './lookups';

/** So long nothing is asked after a change: somebody is typing. */
const PAUSE = 400;

/**
 * Lists in `list` what is there of the stream that the form provisions and what a deploy changes, looked up anew
 * whenever the settings say something else.
 */
export function showStreamPlan(form: Form, list: JQuery, asked: () => OutlookParams): void {
  let shown = '';
  let timer: ReturnType<typeof setTimeout> | undefined;
  form.watch(() => {
    const server = configNode('jetstream-server', form.text('server'));
    const params = asked();
    const wanted = server && params.stream !== '' && form.value('provision') === true;
    const question = wanted ? JSON.stringify([server, params]) : '';
    if (question === shown) return;
    shown = question;
    clearTimeout(timer);
    list.empty();
    if (!wanted) return;
    say(list, text('plan_asking'));
    timer = setTimeout(() => {
      lookup<StreamOutlook>(server, 'outlook', { asked: JSON.stringify(params) })
        .then(sentences, (error: Error) => [error.message])
        .then((lines) => {
          if (question === shown) say(list, ...lines);
        })
        .catch(() => undefined);
    }, PAUSE);
  });
}

function say(list: JQuery, ...lines: string[]): void {
  list.empty().append(lines.map((line) => $('<div>').text(line)));
}

function sentences({ stream, changes, kept }: StreamOutlook): string[] {
  if (!stream) return [text('plan_new')];
  const { subjects, messages } = stream;
  return [
    text('plan_has', { subjects: subjects.join(', '), messages }),
    ...changes.map((change) => text('plan_change', values(change))),
    ...(changes.length === 0 ? [text('plan_same')] : []),
    ...kept.map((each) => text('plan_kept', values(each))),
  ];
}

function values({ setting, from, to }: ShownDifference): Record<string, string> {
  const noLimit = text('plan_noLimit');
  return { setting: text(`stream_${setting}`), from: from || noLimit, to: to || noLimit };
}

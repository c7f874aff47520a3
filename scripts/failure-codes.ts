import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FAILURE_CODES } from '../nodes/shared/failure-codes';

/** Writes docs/failure-codes.md from nodes/shared/failure-codes.ts: `npx tsx scripts/failure-codes.ts`. */
export const PAGE = join(__dirname, '../docs/failure-codes.md');

const WORDS = { true: 'yes', false: 'no', depends: 'depends' };

export function failureCodesPage(): string {
  const rows = Object.entries(FAILURE_CODES)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([code, { retryable, innocent, meaning, action }]) =>
      row(`\`${code}\``, innocent ? 'uncounted' : WORDS[`${retryable}`], meaning, action),
    );
  return `# Failure codes

Every error of these nodes carries a code: a Catch node shows it in \`msg.error.code\`, a dead letter in its header
\`Jetforce-Code\`, a sync in the \`error\` of its progress.

- **Tried again: yes.** The source repeats the message with its backoff, up to its number of tries.
- **uncounted.** It says nothing about the message (a deploy, an outage): the message comes again, with growing pauses
  where it lasts, and that doesn't count as a try.
- **no.** Repeating can't help, or could write twice: the message goes to the dead letter at once.
- **depends.** The error itself says.

A failure that would be tried again isn't where a part of the message was written already and repeating would double
it. Codes of others are passed on as they are, and don't stand here: status codes of Salesforce such as
\`UNABLE_TO_LOCK_ROW\`, of gRPC, of NATS and of the system (\`ECONNRESET\`).

${[row('Code', 'Tried again', 'What happened', 'What to do'), row('---', '---', '---', '---'), ...rows].join('\n')}

<!-- Made by scripts/failure-codes.ts from nodes/shared/failure-codes.ts: change it there. -->
`;
}

function row(...cells: string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

if (require.main === module) writeFileSync(PAGE, failureCodesPage());

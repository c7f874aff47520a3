/** What a client may send for a field, and how the org keeps it. */
import { dateTimeText, parseDate, parseDateTime, parseTime } from './dates';
import { rowError, type RowError } from './errors';
import { normalId } from './ids';
import { type Field, type Schema } from './schema';
import { type Value } from './table';

type Checked = { value: Value } | { error: RowError };

const EMAIL = /^[^\s@,;<>()]+@[^\s@,;<>()]+\.[A-Za-z0-9-]{2,}$/;

/** The value as it is stored, or the row error that Salesforce answers. References are checked for form only. */
export function check(field: Field, sent: unknown, schema: Schema): Checked {
  if (sent === null || sent === undefined || sent === '') {
    return field.type === 'boolean' ? unreadable(field, sent) : { value: null };
  }
  switch (field.type) {
    case 'boolean':
      return checkBoolean(field, sent);
    case 'int':
    case 'double':
    case 'currency':
    case 'percent':
      return checkNumber(field, sent);
    case 'date': {
      const day = typeof sent === 'string' ? parseDate(sent) : undefined;
      return day === undefined ? unreadable(field, sent) : { value: day };
    }
    case 'datetime': {
      const ms = typeof sent === 'string' ? (parseDateTime(sent) ?? dayStart(sent)) : undefined;
      return ms === undefined ? unreadable(field, sent) : { value: dateTimeText(ms) };
    }
    case 'time': {
      const time = typeof sent === 'string' ? parseTime(sent) : undefined;
      return time === undefined ? unreadable(field, sent) : { value: time };
    }
    case 'anyType':
      return isValue(sent) ? { value: sent } : unreadable(field, sent);
    case 'base64':
      return typeof sent === 'string' && BASE64.test(sent) ? { value: sent } : unreadable(field, sent);
    case 'address':
    case 'location':
      return unreadable(field, sent);
    case 'id':
    case 'reference':
      return checkReference(field, sent, schema);
    case 'string':
    case 'textarea':
    case 'email':
    case 'phone':
    case 'url':
    case 'picklist':
    case 'multipicklist':
    case 'encryptedstring':
      return checkText(field, sent);
  }
}

const BASE64 = /^[A-Za-z0-9+/\s]*={0,2}$/;

function isValue(sent: unknown): sent is Value {
  return ['string', 'number', 'boolean'].includes(typeof sent);
}

function checkBoolean(field: Field, sent: unknown): Checked {
  if (typeof sent === 'boolean') return { value: sent };
  const text = typeof sent === 'string' ? sent.toLowerCase() : '';
  return text === 'true' || text === 'false' ? { value: text === 'true' } : unreadable(field, sent);
}

function dayStart(text: string): number | undefined {
  return /^\d{4}-\d{2}-\d{2}$/.test(text) && parseDate(text) ? Date.parse(`${text}T00:00:00Z`) : undefined;
}

function checkNumber(field: Field, sent: unknown): Checked {
  const number =
    typeof sent === 'number'
      ? sent
      : typeof sent === 'string' && /^\s*-?\d+(\.\d+)?([eE][+-]?\d+)?\s*$/.test(sent)
        ? Number(sent)
        : NaN;
  if (!Number.isFinite(number) || (field.type === 'int' && !Number.isInteger(number)))
    return unreadable(field, sent);
  const integerDigits = field.type === 'int' ? 10 : field.precision - field.scale;
  if (Math.abs(number) >= (field.type === 'int' ? 2 ** 31 : 10 ** integerDigits)) {
    return {
      error: rowError(
        'NUMBER_OUTSIDE_VALID_RANGE',
        `${field.label}: value outside of valid range on numeric field: ${number}`,
        [field.name],
      ),
    };
  }
  const factor = 10 ** field.scale;
  return { value: field.type === 'int' ? number : Math.round(number * factor) / factor };
}

function checkText(field: Field, sent: unknown): Checked {
  if (typeof sent === 'object') return unreadable(field, sent);
  const text = (typeof sent === 'string' ? sent : JSON.stringify(sent)).trim();
  if (text === '') return { value: null };
  if (text.length > field.length) {
    const message = `${field.label}: data value too large: ${text} (max length=${field.length})`;
    return { error: rowError('STRING_TOO_LONG', message, [field.name]) };
  }
  if (field.type === 'email' && !EMAIL.test(text)) {
    return {
      error: rowError('INVALID_EMAIL_ADDRESS', `${field.label}: invalid email address: ${text}`, [
        field.name,
      ]),
    };
  }
  if (field.restrictedPicklist && field.picklist.length > 0) {
    const bad = (field.type === 'multipicklist' ? text.split(';') : [text]).find(
      (value) => !field.picklist.includes(value),
    );
    if (bad !== undefined) {
      const message = `${field.label}: bad value for restricted picklist field: ${bad}`;
      return { error: rowError('INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST', message, [field.name]) };
    }
  }
  return { value: text };
}

function checkReference(field: Field, sent: unknown, schema: Schema): Checked {
  const id = normalId(sent);
  const target = id === undefined ? undefined : schema.byPrefix(id);
  if (
    id === undefined ||
    (target && field.referenceTo.length > 0 && !field.referenceTo.includes(target.name))
  ) {
    const message = `${field.label}: id value of incorrect type: ${typeof sent === 'string' ? sent : JSON.stringify(sent)}`;
    return { error: rowError('MALFORMED_ID', message, [field.name]) };
  }
  return { value: id };
}

/** The JSON reader's own complaint: it fails before the field is looked at. */
function unreadable(field: Field, sent: unknown): Checked {
  const type = field.type === 'percent' || field.type === 'currency' ? 'double' : field.type;
  const message = `Cannot deserialize instance of ${type} from ${token(sent)} or request may be missing a required field at [line:1, column:1]`;
  return { error: rowError('JSON_PARSER_ERROR', message) };
}

function token(sent: unknown): string {
  if (sent === null) return 'VALUE_NULL value null';
  if (Array.isArray(sent)) return 'START_ARRAY value [';
  if (typeof sent === 'object') return 'START_OBJECT value {';
  if (typeof sent === 'boolean') return `VALUE_${String(sent).toUpperCase()} value ${sent}`;
  if (typeof sent === 'number')
    return `VALUE_NUMBER_${Number.isInteger(sent) ? 'INT' : 'FLOAT'} value ${sent}`;
  return `VALUE_STRING value ${typeof sent === 'string' ? sent : ''}`;
}

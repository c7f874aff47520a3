interface Answer<T> {
  ok: boolean;
  data: T;
  error?: { message: string };
}

const TIMEOUT = 30_000;

/** $.ajax and not fetch: the editor adds its own login to every request made this way. Rejects with the status. */
export function read<T>(path: string): Promise<T> {
  return new Promise((resolve, reject) => {
    $.ajax({
      ...{ url: `jetforce/${path}`, dataType: 'json', timeout: TIMEOUT, success: resolve },
      headers: language(),
      error: ({ status }) => reject(Object.assign(new Error(String(status)), { status })),
    });
  });
}

/** Rejects with a sentence. */
export async function query<T>(id: string, name: string, params: string): Promise<T> {
  return dataOf(await read<Answer<T>>(`nodes/${encodeURIComponent(id)}/${name}?${params}`));
}

/** Rejects with a sentence. */
export async function act<T>(id: string, name: string, params: object = {}): Promise<T> {
  const answer = await new Promise<Answer<T>>((resolve, reject) => {
    $.ajax({
      ...{ url: `jetforce/nodes/${encodeURIComponent(id)}/${name}`, type: 'POST', dataType: 'json' },
      ...{ contentType: 'application/json', data: JSON.stringify(params), timeout: TIMEOUT },
      headers: language(),
      success: resolve,
      error: ({ status, statusText }) => reject(new Error(`${status} ${statusText}`)),
    });
  });
  return dataOf(answer);
}

/** What the runtime answers in. */
function language(): Record<string, string> {
  return { 'accept-language': RED.i18n.lang() };
}

function dataOf<T>(answer: Answer<T>): T {
  if (answer.ok) return answer.data;
  throw new Error(answer.error?.message);
}

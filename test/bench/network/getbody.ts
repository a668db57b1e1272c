export interface Page {
  readonly url: string;
  /** Of a server's user; left out: nobody in particular asks. */
  readonly token?: string;
  /** Length of the answer; left out: any. */
  readonly bytes?: number;
}

/** One answer, whole. @throws Error where it is not as it should be */
export async function getBody({ url, token, bytes }: Page): Promise<void> {
  const headers = { authorization: `Bearer ${token}` };
  const init = token === undefined ? {} : { headers, tls: { rejectUnauthorized: false } };
  const answer = await fetch(url, init);
  const { length } = await answer.text();
  if (!answer.ok || length !== (bytes ?? length)) {
    throw new Error(`${url}: HTTP ${answer.status}, ${length} bytes`);
  }
}

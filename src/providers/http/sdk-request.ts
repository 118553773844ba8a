/** A request as it goes over the wire. */
export interface HttpRequest {
  url: string;
  /** Names and values in turn. */
  headers: string[];
  body: string;
}

interface BuildOptions {
  method: "post";
  path: string;
  body: object;
  stream: true;
  headers?: Record<string, string>;
}

/** The part of both SDKs' clients that makes requests. */
interface RequestBuilder {
  buildRequest(options: BuildOptions): Promise<{ req: { headers: Headers }; url: string }>;
}

/** Makes the request of one call: at once, but for the first and those with headers of their own. */
export type BuildRequest = (
  body: object,
  headers?: Record<string, string>,
) => HttpRequest | Promise<HttpRequest>;

/**
 * Lets an SDK build the requests to one path: it knows the address, how to authenticate and which
 * headers its provider wants. All that differs from call to call is the body, so it is asked once.
 * Sending and reading are ours (http-client.ts, event-stream.ts), as what an SDK's client does
 * around a request costs more than all the rest of the call. An SDK is loaded only where its
 * provider is configured: each takes some megabytes.
 */
export function createRequestBuilder(client: Promise<RequestBuilder>, path: string): BuildRequest {
  let template: Pick<HttpRequest, "url" | "headers"> | undefined;

  async function build(headers?: Record<string, string>) {
    const options: BuildOptions = { method: "post", path, body: {}, stream: true };
    const { req, url } = await (
      await client
    ).buildRequest(headers ? { ...options, headers } : options);
    return { url, headers: [...req.headers].flat() };
  }

  return (body, headers) => {
    const text = JSON.stringify(body);
    if (headers) return build(headers).then((built) => ({ ...built, body: text }));
    if (template) return { url: template.url, headers: template.headers, body: text };
    return build().then((built) => {
      template = built;
      return { ...built, body: text };
    });
  };
}

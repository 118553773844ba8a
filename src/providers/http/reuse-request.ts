/** What the SDKs know of a request that is to be built, as far as it is looked at. */
interface BuildOptions {
  body?: unknown;
  headers?: unknown;
  fetchOptions?: unknown;
}

/** What the SDKs build of it. */
interface BuiltRequest {
  req: { headers: Headers };
  url: string;
  timeout: number;
}

/** The part of both SDKs' clients that is public and may be replaced. */
interface RequestBuilder<Options extends BuildOptions, Built extends BuiltRequest> {
  buildRequest(options: Options, retry?: { retryCount?: number }): Promise<Built>;
}

/**
 * Lets an SDK's client that is used for one kind of call build its request once:
 * all that differs from call to call is the body. Building the same thirteen
 * headers anew costs more than all the rest that the SDK does for a call. A call
 * with headers of its own is built by the SDK as ever.
 */
export function reuseRequest<Options extends BuildOptions, Built extends BuiltRequest>(
  client: RequestBuilder<Options, Built>,
): void {
  const build = client.buildRequest.bind(client);
  let template: Built | undefined;
  let headerList: string[] = [];
  client.buildRequest = async (options, retry) => {
    if (options.headers !== undefined) return build(options, retry);
    if (template === undefined) {
      template = await build({ ...options, body: {}, fetchOptions: undefined }, retry);
      headerList = [...template.req.headers].flat();
    }
    return {
      ...template,
      req: {
        ...template.req,
        ...(options.fetchOptions as object),
        headerList,
        body: JSON.stringify(options.body),
      },
    };
  };
}

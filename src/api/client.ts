import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import type { ITranslator, TranslationBundle } from '@jupyterlab/translation';
import { nullTranslator } from '@jupyterlab/translation';
import { ApiError } from './errors';
import { withPlainTexts } from './plain';
import type {
  ChatBody,
  Component,
  Described,
  EngineBody,
  EngineInfo,
  EngineList,
  EnvironmentInfo,
  FileKind,
  Health,
  JSONValue,
  Kernel,
  LogEvent,
  ModelDetail,
  ModelPage,
  NamespaceList,
  PatchBody,
  Plan,
  PredictBody,
  Prediction,
  ProtocolName,
  RegisterBody,
  RollbackBody,
  RuntimeChoice,
  ServeBody,
  Service,
  ServiceRef,
  ServiceRevision,
  Verification
} from './types';

/**
 * The base of the REST API, below the server's own.
 */
const NAMESPACE = 'kale-serve-ext';

/**
 * The REST API as methods. Each rejects with an `ApiError`.
 */
export class KaleServeClient {
  constructor(options: KaleServeClient.IOptions) {
    this._serverSettings = options.serverSettings;
    this._trans = (options.translator ?? nullTranslator).load('kale_serve_ext');
  }

  health(): Promise<Health> {
    return this._json('GET', ['health'], { query: background });
  }

  engines(): Promise<EngineList> {
    return this._json('GET', ['engines']);
  }

  namespaces(context: string): Promise<NamespaceList> {
    return this._json('GET', ['engines', 'namespaces'], { query: { context } });
  }

  chooseEngine(body: EngineBody): Promise<EngineInfo> {
    return this._json('POST', ['engines'], { body });
  }

  models(options: KaleServeClient.IListOptions = {}): Promise<ModelPage> {
    const { signal, isBackground, ...query } = options;
    return this._json('GET', ['models'], {
      query: { ...query, ...(isBackground ? background : {}) },
      signal
    });
  }

  model(id: number): Promise<ModelDetail> {
    return this._json('GET', ['models', String(id)]);
  }

  register(body: RegisterBody): Promise<ModelDetail> {
    return this._json('POST', ['models'], { body });
  }

  /**
   * Whether a file or folder can be registered as a model.
   */
  fileKind(path: string): Promise<FileKind> {
    return this._json('GET', ['files'], { query: { path, ...background } });
  }

  transformers(
    options: Omit<KaleServeClient.IListOptions, 'isBackground'> = {}
  ): Promise<ModelPage> {
    const { signal, ...query } = options;
    return this._json('GET', ['transformers'], { query, signal });
  }

  async kernels(): Promise<Kernel[]> {
    return (await this._json<{ items: Kernel[] }>('GET', ['kernels'])).items;
  }

  async runtimes(
    modelId: number,
    protocol: ProtocolName = ''
  ): Promise<RuntimeChoice[]> {
    const list = await this._json<{ items: RuntimeChoice[] }>(
      'GET',
      ['runtimes'],
      { query: { model_id: modelId, protocol } }
    );
    return list.items;
  }

  plan(body: ServeBody, signal?: AbortSignal): Promise<Plan> {
    return this._json('POST', ['plan'], { body, signal });
  }

  async services(): Promise<Service[]> {
    const list = await this._json<{ items: Service[] }>('GET', ['services'], {
      query: background
    });
    return list.items;
  }

  service(ref: ServiceRef): Promise<Service> {
    return this._json('GET', servicePath(ref), { query: background });
  }

  serve(body: ServeBody): Promise<Service> {
    return this._json('POST', ['services'], { body });
  }

  patch(ref: ServiceRef, body: PatchBody): Promise<Service> {
    return this._json('PATCH', servicePath(ref), { body });
  }

  /**
   * What the service is and was, the newest first.
   */
  async revisions(ref: ServiceRef): Promise<ServiceRevision[]> {
    const list = await this._json<{ items: ServiceRevision[] }>('GET', [
      ...servicePath(ref),
      'revisions'
    ]);
    return list.items;
  }

  rollBack(ref: ServiceRef, body: RollbackBody): Promise<Service> {
    return this._json('POST', [...servicePath(ref), 'rollback'], { body });
  }

  async delete(ref: ServiceRef): Promise<void> {
    await this._request('DELETE', servicePath(ref));
  }

  /**
   * Cancel what is being uploaded for a service, or dismiss what failed at it.
   */
  async cancelUpload(ref: ServiceRef): Promise<void> {
    await this._request('DELETE', [...servicePath(ref), 'upload']);
  }

  /**
   * The tensors that a test request takes by name; none where it takes rows of a table.
   */
  tensors(ref: ServiceRef, component: '' | 'predictor'): Promise<Described> {
    return this._json('GET', [...servicePath(ref), 'predict'], {
      query: { component },
      asItIs: true
    });
  }

  predict(
    ref: ServiceRef,
    body: PredictBody,
    signal?: AbortSignal
  ): Promise<Prediction> {
    return this._json('POST', [...servicePath(ref), 'predict'], {
      body,
      signal,
      asItIs: true
    });
  }

  /**
   * Have the service answer the rows that are recorded with its model.
   */
  verify(ref: ServiceRef): Promise<Verification> {
    return this._json('POST', [...servicePath(ref), 'verify'], {
      query: background
    });
  }

  /**
   * Begin to install an environment, beside an interpreter where it is laid beside one.
   */
  installEnvironment(name: string, python: string): Promise<EnvironmentInfo> {
    return this._json('POST', ['environments', name], {
      query: python ? { python } : {}
    });
  }

  /**
   * Cancel what `installEnvironment` began with the same arguments.
   */
  cancelInstallation(name: string, python: string): Promise<void> {
    return this._json('DELETE', ['environments', name, 'installation'], {
      query: python ? { python } : {}
    });
  }

  async events(ref: ServiceRef): Promise<LogEvent[]> {
    const list = await this._json<{ items: LogEvent[] }>('GET', [
      ...servicePath(ref),
      'events'
    ]);
    return list.items;
  }

  /**
   * A component's log, piece by piece; with `follow`, until the signal aborts or the server hangs up.
   */
  async *logs(
    ref: ServiceRef,
    options: KaleServeClient.ILogOptions
  ): AsyncGenerator<string, void, undefined> {
    const { component, tail, previous, follow, signal } = options;
    const response = await this._request('GET', [...servicePath(ref), 'logs'], {
      query: { component, tail, previous, follow, ...background },
      signal
    });
    yield* piecesOf(response);
  }

  /**
   * The answer to a conversation as events of OpenAI's form, piece by piece as they come; the model stops writing when
   * the signal aborts.
   */
  async *chat(
    ref: ServiceRef,
    body: ChatBody,
    signal?: AbortSignal
  ): AsyncGenerator<string, void, undefined> {
    const path = [...servicePath(ref), 'chat'];
    yield* piecesOf(await this._request('POST', path, { body, signal }));
  }

  private async _json<T>(
    method: string,
    path: string[],
    options: IRequest = {}
  ): Promise<T> {
    const response = await this._request(method, path, options);
    const answer = (await response.json()) as JSONValue;
    return (options.asItIs ? answer : withPlainTexts(answer)) as T;
  }

  private async _request(
    method: string,
    path: string[],
    { query = {}, body, signal }: IRequest = {}
  ): Promise<Response> {
    const url =
      URLExt.join(
        this._serverSettings.baseUrl,
        NAMESPACE,
        ...path.map(encodeURIComponent)
      ) + queryString(query);
    const init: RequestInit = { method, signal };
    if (body !== undefined) {
      init.body = JSON.stringify(body);
      init.headers = { 'Content-Type': 'application/json' };
    }
    const response = await ServerConnection.makeRequest(
      url,
      init,
      this._serverSettings
    );
    if (!response.ok) {
      throw await ApiError.fromResponse(response, this._trans);
    }
    return response;
  }

  private _serverSettings: ServerConnection.ISettings;
  private _trans: TranslationBundle;
}

export namespace KaleServeClient {
  export interface IOptions {
    serverSettings: ServerConnection.ISettings;
    translator?: ITranslator | null;
  }

  export interface IListOptions {
    search?: string;
    name?: string;
    cursor?: string;
    limit?: number;
    /**
     * Nobody asked for it just now, so that it does not count as activity on the server.
     */
    isBackground?: boolean;
    signal?: AbortSignal;
  }

  export interface ILogOptions {
    component: Component;
    tail: number;
    previous?: boolean;
    follow?: boolean;
    signal?: AbortSignal;
  }
}

interface IRequest {
  query?: Record<string, string | number | boolean | undefined>;
  body?: unknown;
  signal?: AbortSignal;
  /**
   * Whether the answer is to be copied: then its texts stay as they are.
   */
  asItIs?: boolean;
}

/**
 * Keeps what only watches from holding back the culling of idle servers.
 */
const background = { no_track_activity: 1 };

/**
 * The texts of an answer, as they come.
 */
async function* piecesOf(
  response: Response
): AsyncGenerator<string, void, undefined> {
  const reader = response.body?.getReader();
  if (!reader) {
    return;
  }
  const decoder = new TextDecoder();
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error: unknown) => {
        // A connection that breaks in the middle is told as one that could not be made.
        throw error instanceof TypeError
          ? new ServerConnection.NetworkError(error)
          : error;
      });
      if (done) {
        break;
      }
      yield decoder.decode(value, { stream: true });
    }
    yield decoder.decode();
  } finally {
    // Also where the consumer stops early: lets the server end its side.
    await reader.cancel().catch(() => undefined);
  }
}

function servicePath(ref: ServiceRef): string[] {
  return ['services', ref.engine, ref.context, ref.namespace, ref.name];
}

function queryString(
  query: Record<string, string | number | boolean | undefined>
): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined && value !== '') {
      search.set(key, String(value));
    }
  }
  const text = search.toString();
  return text ? `?${text}` : '';
}

/**
 * A server made of a table of routes, and bodies to answer with.
 */
import type { Event } from '@jupyterlab/services';
import { ServerConnection } from '@jupyterlab/services';
import { nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';
import { KaleServeClient } from '../api/client';
import type {
  Artifact,
  Health,
  ModelDetail,
  Plan,
  Prediction,
  RegisteredName,
  RuntimeChoice,
  Service,
  ServiceRef,
  Signature,
  Verification
} from '../api/types';
import type {
  EnvironmentState,
  IEnvironmentChange
} from '../environments/model';
import { ENVIRONMENT_SCHEMA, EnvironmentsModel } from '../environments/model';
import { HealthModel } from '../health/model';
import { ModelListModel } from '../models/model';
import type { IActions } from '../panel/actions';
import type { IUpload } from '../services/model';
import { EVENT_SCHEMA, ServicesModel, UPLOAD_SCHEMA } from '../services/model';
import type { IKaleServe } from '../tokens';

export const trans = nullTranslator.load('kale_serve_ext');

export interface ISent {
  method: string;
  /**
   * Below `kale-serve-ext/`, still percent-encoded.
   */
  path: string;
  query: URLSearchParams;
  body: unknown;
  signal: AbortSignal;
}

type Answer = { status?: number; json?: unknown; text?: string } | Response;
type Route = (sent: ISent) => Answer | Promise<Answer>;

/**
 * Answers requests by "METHOD path", the longest beginning first, and keeps them.
 */
export class FakeServer {
  readonly sent: ISent[] = [];

  on(start: string, route: Route | object): this {
    this._routes.set(
      start,
      typeof route === 'function' ? (route as Route) : () => ({ json: route })
    );
    return this;
  }

  fail(start: string, status: number, body: object): this {
    return this.on(start, () => ({
      status,
      json: { reason: 'Failed', hint: '', field: '', ...body }
    }));
  }

  of(start: string): ISent[] {
    return this.sent.filter(s => `${s.method} ${s.path}`.startsWith(start));
  }

  get settings(): ServerConnection.ISettings {
    return ServerConnection.makeSettings({
      baseUrl: 'http://lab.test/user/me/',
      fetch: (input, init) => this._fetch(input as Request, init)
    });
  }

  get client(): KaleServeClient {
    return new KaleServeClient({ serverSettings: this.settings });
  }

  private async _fetch(input: Request, init?: RequestInit): Promise<Response> {
    const request = new Request(input, init);
    const url = new URL(request.url);
    const base = '/user/me/kale-serve-ext/';
    if (!url.pathname.startsWith(base)) {
      throw new Error(`A request outside the API: ${url.pathname}`);
    }
    const text = await request.text();
    const sent: ISent = {
      method: request.method,
      path: url.pathname.slice(base.length),
      query: url.searchParams,
      body: text ? JSON.parse(text) : undefined,
      signal: request.signal
    };
    this.sent.push(sent);
    const key = `${sent.method} ${sent.path}`;
    const start = [...this._routes.keys()]
      .filter(candidate => key.startsWith(candidate))
      .sort((a, b) => b.length - a.length)[0];
    const route = start === undefined ? undefined : this._routes.get(start);
    if (!route) {
      return new Response('<html>404</html>', { status: 404 });
    }
    const answer = await route(sent);
    if (answer instanceof Response) {
      return answer;
    }
    const { status = 200, json, text: plain } = answer;
    return new Response(
      status === 204 ? null : (plain ?? JSON.stringify(json)),
      { status }
    );
  }

  private _routes = new Map<string, Route>();
}

/**
 * The server's events, told by hand; the server then has the service that they name.
 */
export class FakeEvents {
  constructor(private _server: FakeServer) {}

  readonly stream = new Signal<this, Event.Emission>(this);

  tell(
    kind: 'added' | 'modified' | 'deleted',
    ref: ServiceRef,
    service: Service | null,
    schema = EVENT_SCHEMA
  ): void {
    const { engine, context, namespace, name } = ref;
    const path = `GET services/${[engine, context, namespace, name].join('/')}`;
    if (service) {
      this._server.on(path, service);
    } else {
      this._server.fail(path, 404, { reason: 'NotFound' });
    }
    this.stream.emit({
      schema_id: schema,
      kind,
      ...ref,
      phase: service?.phase ?? '',
      reason: service?.reason ?? ''
    });
  }

  tellEnvironment(
    name: string,
    state: EnvironmentState['state'],
    change: Partial<IEnvironmentChange> = {}
  ): void {
    this.stream.emit({
      schema_id: ENVIRONMENT_SCHEMA,
      name,
      python_version: '',
      state,
      message: '',
      hint: '',
      ...change
    });
  }

  tellUpload(upload: IUpload): void {
    this.stream.emit({ schema_id: UPLOAD_SCHEMA, ...upload });
  }

  get manager(): Event.IManager {
    return this as unknown as Event.IManager;
  }
}

export function makeKale(
  server: FakeServer,
  events = new FakeEvents(server)
): IKaleServe {
  const { client } = server;
  const health = new HealthModel({ client, trans });
  const models = new ModelListModel({ client, trans, delay: 0 });
  const services = new ServicesModel({
    client,
    trans,
    events: events.manager
  });
  return {
    client,
    environments: new EnvironmentsModel({
      client,
      events: events.manager
    }),
    health,
    models,
    services,
    settings: { pollInterval: 10, pageSize: 50, logLines: 100, notify: true },
    start: () => {
      health.start();
      models.start();
      services.start();
    }
  };
}

export function makeActions(): jest.Mocked<IActions> {
  return {
    serve: jest.fn(),
    test: jest.fn(),
    logs: jest.fn(),
    pause: jest.fn(),
    resume: jest.fn(),
    update: jest.fn(),
    promote: jest.fn(),
    rollBack: jest.fn(),
    remove: jest.fn()
  };
}

/**
 * A promise to be settled later.
 */
export function later<T>(): { promise: Promise<T>; resolve: (v: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>(done => {
    resolve = done;
  });
  return { promise, resolve };
}

/**
 * Let all that is settled take its course.
 */
export async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) {
    await new Promise(done => setTimeout(done, 0));
  }
}

export function makeRef(name = 'iris'): ServiceRef {
  return { engine: 'local', context: 'localhost', namespace: 'default', name };
}

export function makeService(
  name = 'iris',
  change: Partial<Service> = {}
): Service {
  return {
    ref: makeRef(name),
    phase: 'Ready',
    reason: '',
    log_tail: '',
    model: { id: 1, name: 'iris', version: '1' },
    transformer: null,
    answering: null,
    runtime: 'kserve-sklearnserver',
    protocol: 'v1',
    method: 'predict',
    task: '',
    verify: 'warn',
    url: 'http://127.0.0.1:8080',
    external_url: '',
    grpc_url: '',
    replicas_ready: 1,
    replicas_wanted: 1,
    replicas: [{ component: 'predictor', ready: 1, wanted: 1 }],
    restarts: 0,
    revision: 1,
    serving_revision: 1,
    components: ['predictor'],
    steps: [],
    conditions: [],
    created: 1_700_000_000,
    updated: 1_700_000_000,
    ours: true,
    mode: '',
    shares: [],
    can_pause: true,
    can_split: false,
    can_roll_back: false,
    manifest: {},
    upload: null,
    ...change
  };
}

export function makeArtifact(change: Partial<Artifact> = {}): Artifact {
  return {
    type: 'kale.Model',
    name: 'iris',
    version: '1',
    uri: 'file:///s/sha256/00',
    digest: 'sha256:00',
    description: '',
    author: '',
    tags: {},
    format: 'sklearn',
    signature: null,
    environment: { python: '', python_version: '', host: '', packages: {} },
    details: {},
    id: 1,
    created: 1_700_000_000,
    updated: 1_700_000_000,
    ...change
  };
}

type Column = Signature['columns'][number];

export function makeSignature(
  change: Partial<Omit<Signature, 'columns'>> & {
    columns?: readonly (Pick<Column, 'name'> & Partial<Column>)[];
  } = {}
): Signature {
  return {
    input_size: ['batch_size', 2],
    output_size: [],
    input_dtype: 'float64',
    output_dtype: '',
    sample: null,
    input_kind: '',
    input_missing: '',
    inputs: [],
    outputs: [],
    ...change,
    columns: (change.columns ?? []).map(column => ({
      dtype: 'float64',
      categories: null,
      category_dtype: '',
      ordered: false,
      missing: '',
      values: '',
      ...column
    }))
  };
}

export function makeName(
  change: Partial<Artifact> = {},
  versions = 1
): RegisteredName {
  return { latest: makeArtifact(change), versions };
}

export function makeDetail(change: Partial<ModelDetail> = {}): ModelDetail {
  const artifact = change.artifact ?? makeArtifact();
  return {
    artifact,
    versions: [artifact],
    lineage: { artifact, produced_by: [], consumed_by: [], related: {} },
    services: [],
    ...change
  };
}

export function makeRuntime(
  change: Partial<RuntimeChoice> = {}
): RuntimeChoice {
  return {
    name: 'kserve-sklearnserver',
    display_name: 'KServe sklearn server',
    protocols: ['v1', 'v2'],
    fits: true,
    reason: '',
    chosen: true,
    python: '/usr/bin/python3',
    image: '',
    assumed: false,
    differs: '',
    upkeep: '',
    setup: null,
    ...change
  };
}

export function makePlan(change: Partial<Plan> = {}): Plan {
  return {
    name: 'iris',
    manifest: { kind: 'InferenceService' },
    runtime: 'kserve-sklearnserver',
    protocol: 'v1',
    ok: true,
    checks: [],
    differences: [],
    exists: false,
    runtimes: [makeRuntime()],
    method: 'predict',
    methods: [],
    verify: 'warn',
    changes: [],
    setup: null,
    transformer_now: null,
    ...change
  };
}

export function makeVerification(
  change: Partial<Verification> = {}
): Verification {
  return {
    component: 'predictor',
    rows: 20,
    different: 0,
    differences: [],
    ok: true,
    skipped: '',
    error: '',
    recorded: true,
    ...change
  };
}

export function makePrediction(change: Partial<Prediction> = {}): Prediction {
  return {
    answer: '{"predictions": [1]}',
    latency_ms: 3.21,
    protocol: 'v1',
    url: 'http://127.0.0.1:8080/v1/models/iris:predict',
    request: '{"instances": [[1, 2]]}',
    python: 'endpoint.predict(…)',
    command: 'curl …',
    ...change
  };
}

export function makeHealth(change: Partial<Health> = {}): Health {
  const engine = {
    kind: 'local',
    context: 'localhost',
    namespace: 'default',
    pause: true,
    grpc: true,
    canary: false,
    external_url: false,
    revisions: true
  };
  return {
    version: '0.1.0',
    engine,
    engine_by: 'found',
    engine_reason: 'There is no kubeconfig here.',
    engines: [engine],
    backends: {
      engine: { state: 'ready', message: '', hint: '' },
      metadata: { state: 'ready', message: '', hint: '' },
      store: { state: 'ready', message: '', hint: '' }
    },
    ...change
  };
}

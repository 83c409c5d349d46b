import { Signal } from '@lumino/signaling';
import type { ServiceManager } from '@jupyterlab/services';
import { KaleServe } from '../kaleServe';
import {
  FakeServer,
  makeHealth,
  makeName,
  makeService,
  settled
} from './fixtures';

function setUp() {
  const server = new FakeServer()
    .on('GET health', makeHealth())
    .on('GET models', { items: [], next_cursor: '', total: 0 })
    .on('GET services', { items: [makeService('old')] });
  const stream = new Signal<object, object>({});
  const kale = new KaleServe({
    serviceManager: {
      serverSettings: server.settings,
      events: { stream }
    } as unknown as ServiceManager.IManager
  });
  return { kale, server, stream };
}

describe('KaleServe', () => {
  it('lists the models as soon as the metadata engine is installed', async () => {
    const { kale, server } = setUp();
    const health = makeHealth();
    health.backends.metadata = { state: 'missing', message: '', hint: '' };
    server.on('GET health', health).fail('GET models', 503, {
      reason: 'MetadataUnavailable',
      message: 'The metadata engine is being installed.'
    });
    kale.start();
    await settled();
    // The list that failed has begun the installation, and the health says so.
    expect(server.of('GET health').length).toBeGreaterThan(1);

    server
      .on('GET health', makeHealth())
      .on('GET models', { items: [makeName()], next_cursor: '', total: 1 });
    await kale.health.refresh();
    await settled();
    expect(kale.models.items).toHaveLength(1);
  });

  it('asks all again once one of them has found the server back', async () => {
    const { kale, server } = setUp();
    const gone = () => {
      throw new TypeError('Failed to fetch');
    };
    for (const start of ['GET health', 'GET services', 'GET models']) {
      server.on(start, gone);
    }
    kale.start();
    await settled();
    const models = [kale.health, kale.services, kale.models];
    expect(models.map(({ error }) => error?.reason)).toEqual(
      models.map(() => 'Network')
    );
    server
      .on('GET health', makeHealth())
      .on('GET services', { items: [] })
      .on('GET models', { items: [], next_cursor: '', total: 0 });
    await kale.models.refresh();
    await settled();
    expect(models.map(({ error }) => error)).toEqual([null, null, null]);
  });

  it('lists the services of the new engines after a switch', async () => {
    const { kale, server, stream } = setUp();
    kale.start();
    await settled();
    expect(kale.services.services.map(s => s.ref.name)).toEqual(['old']);
    const lists = server.of('GET services').length;

    await kale.health.refresh();
    expect(server.of('GET services')).toHaveLength(lists);

    const engine = { ...makeHealth().engine, namespace: 'other' };
    server
      .on('GET health', makeHealth({ engine, engines: [engine] }))
      .on('GET services', { items: [] });
    stream.emit({
      schema_id: 'https://schema.jupyter.org/kale_serve_ext/engine/v1'
    });
    await settled();
    expect(kale.health.health?.engine.namespace).toBe('other');
    expect(kale.services.services).toEqual([]);
  });
});

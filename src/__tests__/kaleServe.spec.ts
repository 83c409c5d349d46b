import { Signal } from '@lumino/signaling';
import type { ServiceManager } from '@jupyterlab/services';
import { KaleServe } from '../kaleServe';
import { FakeServer, makeHealth, makeService, settled } from './fixtures';

describe('KaleServe', () => {
  it('lists the services of the new engines after a switch', async () => {
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

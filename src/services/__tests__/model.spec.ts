import {
  FakeEvents,
  FakeServer,
  later,
  makeRef,
  makeService,
  settled,
  trans
} from '../../__tests__/fixtures';
import type { Phase, Service } from '../../api/types';
import { EVENT_SCHEMA, ServicesModel } from '../model';

function setUp(server = new FakeServer()) {
  const events = new FakeEvents(server);
  const model = new ServicesModel({
    client: server.client,
    events: events.manager,
    trans
  });
  return { server, events, model };
}

const names = (model: ServicesModel) => model.services.map(s => s.ref.name);

describe('ServicesModel', () => {
  it('lists the newest first', async () => {
    const { server, model } = setUp();
    server.on('GET services', {
      items: [
        makeService('old', { created: 1 }),
        makeService('new', { created: 2 })
      ]
    });
    expect(model.isReady).toBe(false);
    model.start();
    await settled();
    expect(names(model)).toEqual(['new', 'old']);
    expect(model.isReady).toBe(true);
    model.dispose();
  });

  it('follows an upload, and cancels it', async () => {
    const { server, events, model } = setUp();
    const upload = { artifact: 'iris', done: 0, total: 300, error: '' };
    const service = makeService('iris', {
      phase: 'Uploading',
      revision: 0,
      upload
    });
    events.tell('modified', makeRef(), service);
    await settled();
    events.tellUpload({
      ...makeRef(),
      artifact: 'iris',
      done: 120,
      total: 300
    });
    events.tellUpload({
      ...makeRef('other'),
      artifact: 'iris',
      done: 7,
      total: 8
    });
    expect(model.services.map(s => s.upload?.done)).toEqual([120]);

    server.on('DELETE services/', () => ({ status: 204 }));
    server.fail('GET services/local/localhost/default/iris', 404, {
      message: 'No service.',
      reason: 'NotFound'
    });
    await model.cancelUpload(makeRef());

    const [cancelled] = server.of('DELETE');
    expect(cancelled.path).toBe('services/local/localhost/default/iris/upload');
    expect(model.services).toHaveLength(0);
    expect(model.actionError(makeRef())).toBeNull();
    model.dispose();
  });

  it('keeps a service that was accepted just before its upload was cancelled', async () => {
    const { server, events, model } = setUp();
    const upload = { artifact: 'iris', done: 300, total: 300, error: '' };
    events.tell(
      'modified',
      makeRef(),
      makeService('iris', { phase: 'Uploading', revision: 0, upload })
    );
    await settled();
    server
      .fail('DELETE services/', 404, {
        message: 'Nothing is being uploaded for iris.',
        reason: 'NotFound'
      })
      .on(
        'GET services/local/localhost/default/iris',
        makeService('iris', { phase: 'Loading' })
      );
    await model.cancelUpload(makeRef());
    expect(model.services.map(({ phase }) => phase)).toEqual(['Loading']);
    expect(model.actionError(makeRef())).toBeNull();
    model.dispose();
  });

  it('tells why an upload could not be cancelled, and keeps its service', async () => {
    const { server, events, model } = setUp();
    events.tell('modified', makeRef(), makeService());
    await settled();
    server.fail('DELETE services/', 403, { message: 'Not allowed.' });
    await model.cancelUpload(makeRef());
    expect(names(model)).toEqual(['iris']);
    expect(model.actionError(makeRef())?.message).toBe('Not allowed.');
    model.dispose();
  });

  it('takes what is read of a service whose upload has moved meanwhile', async () => {
    const { server, events, model } = setUp();
    const upload = { artifact: 'iris', done: 0, total: 300, error: '' };
    events.tell('modified', makeRef(), makeService('iris', { upload }));
    await settled();
    const slow = later<{ json: Service }>();
    server.on('GET services/local/localhost/default/iris', () => slow.promise);
    events.stream.emit({
      schema_id: EVENT_SCHEMA,
      kind: 'modified',
      ...makeRef()
    });
    await settled();
    events.tellUpload({ ...makeRef(), artifact: 'iris', done: 9, total: 300 });
    slow.resolve({ json: makeService('iris', { phase: 'Paused', upload }) });
    await settled();
    expect(model.services[0].phase).toBe('Paused');
    model.dispose();
  });

  it('is stale where the server is away, and not where an engine is slow', async () => {
    const { server, model } = setUp();
    const last = async () => {
      await model.refresh().catch(() => undefined);
      return model.isStale;
    };
    server.on('GET services', { items: [makeService()] });
    expect(await last()).toBe(false);
    server.fail('GET services', 503, { message: 'No answer in 10 s.' });
    expect(await last()).toBe(false);
    expect(model.error?.message).toBe('No answer in 10 s.');
    for (const away of [
      () => ({ status: 404, text: '<html>' }),
      () => ({ status: 503, text: '<html>' }),
      () => {
        throw new TypeError('Failed to fetch');
      }
    ]) {
      server.on('GET services', away);
      expect(await last()).toBe(true);
    }
    expect(names(model)).toEqual(['iris']);
    model.dispose();
  });

  it('reads what events of its own schema name, and nothing else', async () => {
    const { server, events, model } = setUp();
    events.tell('added', makeRef(), makeService(), 'https://other/v1');
    await settled();
    expect(server.sent).toHaveLength(0);
    expect(model.services).toHaveLength(0);
    events.tell('added', makeRef(), makeService('iris', { phase: 'Loading' }));
    await settled();
    const before = model.services;
    events.tell('modified', makeRef(), makeService('iris', { phase: 'Ready' }));
    await settled();
    expect(model.services).not.toBe(before);
    expect(before[0].phase).toBe('Loading');
    expect(model.services[0].phase).toBe('Ready');
    events.tell('deleted', makeRef(), null);
    expect(model.services).toHaveLength(0);
    model.dispose();
  });

  it('reads a service once more where it changed while it was read', async () => {
    const { server, events, model } = setUp();
    const slow = later<{ json: Service }>();
    events.tell('added', makeRef(), makeService('iris', { phase: 'Pending' }));
    await settled();
    server.on('GET services/local/localhost/default/iris', () => slow.promise);
    events.stream.emit({
      schema_id: EVENT_SCHEMA,
      kind: 'modified',
      ...makeRef()
    });
    await settled();
    for (let i = 0; i < 5; i++) {
      events.tell('modified', makeRef(), makeService('iris'));
    }
    slow.resolve({ json: makeService('iris', { phase: 'Loading' }) });
    await settled();
    expect(model.services[0].phase).toBe('Ready');
    expect(server.sent).toHaveLength(3);
    model.dispose();
  });

  it('does not bring back a service that went while it was read', async () => {
    const { server, events, model } = setUp();
    const slow = later<{ json: Service }>();
    server.on('GET services/', () => slow.promise);
    events.stream.emit({
      schema_id: EVENT_SCHEMA,
      kind: 'added',
      ...makeRef()
    });
    events.tell('deleted', makeRef(), null);
    slow.resolve({ json: makeService() });
    await settled();
    expect(model.services).toHaveLength(0);
    model.dispose();
  });

  it('holds what an event told over a list that was asked for before it', async () => {
    const { server, events, model } = setUp();
    const answer = later<{ json: { items: Service[] } }>();
    server.on('GET services', () => answer.promise);
    events.tell('added', makeRef('stale'), makeService('stale'));
    await settled();
    model.start();
    await settled();
    events.tell('modified', makeRef(), makeService('iris', { phase: 'Ready' }));
    events.tell('deleted', makeRef('gone'), null);
    await settled();
    answer.resolve({
      json: {
        items: [makeService('iris', { phase: 'Loading' }), makeService('gone')]
      }
    });
    await settled();
    expect(names(model)).toEqual(['iris']);
    expect(model.services[0].phase).toBe('Ready');
    model.dispose();
  });

  it('is put right by the next list after missed events', async () => {
    const { server, events, model } = setUp();
    events.tell('added', makeRef('missed'), makeService('missed'));
    await settled();
    server.on('GET services', { items: [makeService('iris')] });
    model.start();
    await settled();
    expect(names(model)).toEqual(['iris']);
    model.dispose();
  });

  it('tells of each change of phase once', async () => {
    const { events, model } = setUp();
    const seen: [string, Phase | null, Phase][] = [];
    model.phaseChanged.connect((_, { service, before }) => {
      seen.push([service.ref.name, before, service.phase]);
    });
    for (const phase of ['Loading', 'Loading', 'Ready'] as const) {
      events.tell('modified', makeRef(), makeService('iris', { phase }));
      await settled();
    }
    expect(seen).toEqual([
      ['iris', null, 'Loading'],
      ['iris', 'Loading', 'Ready']
    ]);
    model.dispose();
  });

  it('keeps the error of the list apart from that of an action', async () => {
    const { server, model } = setUp();
    server.fail('GET services', 503, { message: 'Engine away.' });
    server.fail('PATCH services/', 503, { message: 'Cannot pause.' });
    model.start();
    await settled();
    await model.patch(makeRef(), { paused: true });
    expect(model.error?.message).toBe('Engine away.');
    expect(model.actionError(makeRef())?.message).toBe('Cannot pause.');
    expect(model.actionError(makeRef('other'))).toBeNull();
    model.dismissActionError(makeRef());
    expect(model.actionError(makeRef())).toBeNull();
    expect(model.error?.message).toBe('Engine away.');
    model.dispose();
  });

  it('is busy with a service for as long as the action takes', async () => {
    const { server, model } = setUp();
    const answer = later<{ json: Service }>();
    server.on('PATCH services/', () => answer.promise);
    const acting = model.patch(makeRef(), { paused: true });
    expect(model.isBusy(makeRef())).toBe(true);
    answer.resolve({ json: makeService('iris', { phase: 'Paused' }) });
    await acting;
    expect(model.isBusy(makeRef())).toBe(false);
    expect(model.services[0].phase).toBe('Paused');
    model.dispose();
  });

  it.each([
    ['was there', 204],
    ['was gone already', 404]
  ])('drops a deleted service that %s', async (_, status) => {
    const { server, events, model } = setUp();
    server.on('DELETE services/', () => ({
      status,
      json: { message: 'No service.', reason: 'NotFound' }
    }));
    events.tell('added', makeRef(), makeService());
    await settled();
    await model.delete(makeRef());
    expect(model.services).toHaveLength(0);
    expect(model.actionError(makeRef())).toBeNull();
    model.dispose();
  });

  it('keeps a service that could not be deleted', async () => {
    const { server, events, model } = setUp();
    server.fail('DELETE services/', 403, { message: 'Not allowed.' });
    events.tell('added', makeRef(), makeService());
    await settled();
    await model.delete(makeRef());
    expect(names(model)).toEqual(['iris']);
    expect(model.actionError(makeRef())?.message).toBe('Not allowed.');
    model.dispose();
  });

  it('remembers what was served from here', async () => {
    const { server, model } = setUp();
    server.on('POST services', makeService('iris', { phase: 'Pending' }));
    await model.serve({ model_id: 1 });
    expect(names(model)).toEqual(['iris']);
    expect(model.wasServedHere(makeRef())).toBe(true);
    expect(model.wasServedHere(makeRef('other'))).toBe(false);
    model.dispose();
  });

  it('hears nothing once it is disposed of', async () => {
    const { events, model } = setUp();
    model.dispose();
    events.tell('added', makeRef(), makeService());
    await settled();
    expect(model.services).toHaveLength(0);
  });
});

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
import { ServicesModel } from '../model';

function setUp(server = new FakeServer()) {
  const events = new FakeEvents();
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

  it('takes over events of its own schema only', () => {
    const { events, model } = setUp();
    events.tell('added', makeRef(), makeService(), 'https://other/v1');
    expect(model.services).toHaveLength(0);
    events.tell('added', makeRef(), makeService('iris', { phase: 'Loading' }));
    const before = model.services;
    events.tell('modified', makeRef(), makeService('iris', { phase: 'Ready' }));
    expect(model.services).not.toBe(before);
    expect(before[0].phase).toBe('Loading');
    expect(model.services[0].phase).toBe('Ready');
    events.tell('deleted', makeRef(), null);
    expect(model.services).toHaveLength(0);
    model.dispose();
  });

  it('holds what an event told over a list that was asked for before it', async () => {
    const { server, events, model } = setUp();
    const answer = later<{ json: { items: Service[] } }>();
    server.on('GET services', () => answer.promise);
    events.tell('added', makeRef('stale'), makeService('stale'));
    model.start();
    await settled();
    events.tell('modified', makeRef(), makeService('iris', { phase: 'Ready' }));
    events.tell('deleted', makeRef('gone'), null);
    answer.resolve({
      json: {
        items: [
          makeService('iris', { phase: 'Loading' }),
          makeService('gone')
        ]
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
    server.on('GET services', { items: [makeService('iris')] });
    model.start();
    await settled();
    expect(names(model)).toEqual(['iris']);
    model.dispose();
  });

  it('tells of each change of phase once', () => {
    const { events, model } = setUp();
    const seen: [string, Phase | null, Phase][] = [];
    model.phaseChanged.connect((_, { service, before }) => {
      seen.push([service.ref.name, before, service.phase]);
    });
    for (const phase of ['Loading', 'Loading', 'Ready'] as const) {
      events.tell('modified', makeRef(), makeService('iris', { phase }));
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
    await model.delete(makeRef());
    expect(model.services).toHaveLength(0);
    expect(model.actionError(makeRef())).toBeNull();
    model.dispose();
  });

  it('keeps a service that could not be deleted', async () => {
    const { server, events, model } = setUp();
    server.fail('DELETE services/', 403, { message: 'Not allowed.' });
    events.tell('added', makeRef(), makeService());
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

  it('hears nothing once it is disposed of', () => {
    const { events, model } = setUp();
    model.dispose();
    events.tell('added', makeRef(), makeService());
    expect(model.services).toHaveLength(0);
  });
});

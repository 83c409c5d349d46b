import { Notification } from '@jupyterlab/apputils';
import { CommandRegistry } from '@lumino/commands';
import type { Verification } from '../api/types';
import { ServiceNotifier } from '../notifications';
import {
  FakeEvents,
  FakeServer,
  makeKale,
  makeRef,
  makeService,
  makeVerification,
  settled,
  trans
} from './fixtures';

function make(verification: Partial<Verification> = {}) {
  const server = new FakeServer()
    .on('POST services', makeService('iris', { phase: 'Loading' }))
    .on(
      'POST services/local/localhost/default/iris/verify',
      makeVerification(verification)
    );
  const events = new FakeEvents(server);
  const kale = makeKale(server, events);
  new ServiceNotifier(kale, new CommandRegistry(), trans);
  return { kale, events };
}

async function setUp(verification: Partial<Verification>, isOwn = true) {
  const { kale, events } = make(verification);
  if (isOwn) {
    await kale.services.serve({ model_id: 1 });
  }
  events.tell('modified', makeRef(), makeService());
  if (!isOwn) {
    await kale.services.verifications.ensure(makeService());
  }
  await settled();
  return Notification.manager.notifications
    .filter(({ type }) => type === 'warning')
    .map(({ message }) => message);
}

describe('ServiceNotifier', () => {
  afterEach(() => Notification.manager.dismiss());

  it('warns where a service that was served here answers otherwise than recorded', async () => {
    expect(await setUp({ ok: false, different: 3 })).toEqual([
      'iris: 3 of 20 recorded rows answered differently from the notebook'
    ]);
  });

  it('says nothing where it answers as recorded, or nothing is recorded', async () => {
    expect(await setUp({})).toEqual([]);
    expect(await setUp({ ok: false, skipped: 'no rows are recorded' })).toEqual(
      []
    );
  });

  it.each([true, false])(
    'tells of failures of what was served here only (%s)',
    async isOwn => {
      const { kale, events } = make();
      if (isOwn) {
        await kale.services.serve({ model_id: 1 });
      }
      for (const phase of [
        'Loading',
        'Failed',
        'Loading',
        'Degraded',
        'Ready'
      ] as const) {
        const service = makeService('iris', { phase, reason: 'Why.' });
        events.tell('modified', makeRef(), service);
        await settled();
      }
      const told = Notification.manager.notifications;
      // Its update may have failed, or only not have taken over yet: that the reason says.
      expect(
        told
          .filter(({ type }) => type === 'warning')
          .map(({ message }) => message)
      ).toEqual(
        isOwn
          ? ['iris is degraded; the previous version still answers. Why.']
          : []
      );
      const types = told.map(({ type }) => type);
      expect([...types].sort()).toEqual(
        isOwn ? ['error', 'success', 'warning'] : []
      );
    }
  );

  it('leaves services of others to those who look at them', async () => {
    expect(await setUp({ ok: false, different: 3 }, false)).toEqual([]);
  });
});

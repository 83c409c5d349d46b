import { render, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import * as React from 'react';
import {
  FakeEvents,
  FakeServer,
  later,
  makeKale,
  makeRef,
  makeService,
  makeVerification,
  settled
} from '../../__tests__/fixtures';
import type { Service, Verification } from '../../api/types';
import { VerificationView } from '../verification';

const VERIFY = 'POST services/local/localhost/default/iris/verify';

function setUp(
  verification: Partial<Verification>,
  change: Partial<Service> = {}
) {
  const server = new FakeServer().on(VERIFY, makeVerification(verification));
  const { verifications } = makeKale(server).services;
  const view = (service: Partial<Service>) => (
    <VerificationView
      service={makeService('iris', service)}
      verifications={verifications}
    />
  );
  const { rerender } = render(view(change));
  return {
    server,
    user: userEvent.setup(),
    update: (service: Partial<Service>) => rerender(view(service))
  };
}

describe('VerificationView', () => {
  it('asks a service that is ready once, and says that it answers as recorded', async () => {
    const { server, update } = setUp({});
    expect(
      await screen.findByText('20 recorded rows answered as in the notebook')
    ).toBeVisible();
    expect(screen.getByRole('status')).toHaveTextContent(/as in the notebook/);
    update({ updated: 2 });
    await settled();
    expect(server.of(VERIFY)).toHaveLength(1);
  });

  it('does not count as activity on the server', async () => {
    const { server } = setUp({});
    await waitFor(() => expect(server.of(VERIFY)).toHaveLength(1));
    expect(server.of(VERIFY)[0].query.get('no_track_activity')).toBe('1');
  });

  it('asks each revision, when it is ready', async () => {
    const { server, update } = setUp({}, { phase: 'Loading' });
    await settled();
    expect(server.of(VERIFY)).toHaveLength(0);
    expect(screen.queryByRole('status')).toBeNull();
    update({ phase: 'Ready' });
    await waitFor(() => expect(server.of(VERIFY)).toHaveLength(1));
    update({ phase: 'Ready', revision: 2 });
    await waitFor(() => expect(server.of(VERIFY)).toHaveLength(2));
  });

  it('shows a few of the rows that differ, and how many there are', async () => {
    setUp({
      ok: false,
      different: 3,
      differences: [
        { row: 4, expected: 1, got: 0 },
        { row: 7, expected: 'setosa', got: null }
      ]
    });
    expect(
      await screen.findByText(
        '3 of 20 recorded rows answered differently from the notebook'
      )
    ).toBeVisible();
    const rows = within(screen.getByRole('table')).getAllByRole('row');
    expect(rows.map(row => row.textContent)).toEqual([
      'RowExpectedGot',
      '410',
      '7"setosa"null'
    ]);
    expect(screen.getByText('and 1 more')).toBeVisible();
  });

  it('shows why the rows could not be answered', async () => {
    setUp({ ok: false, different: 20, error: 'X has 3 features.' });
    expect(
      await screen.findByText('20 recorded rows could not be answered')
    ).toBeVisible();
    expect(screen.getByText('X has 3 features.')).toBeVisible();
  });

  it('says that nothing was compared, and offers no second look where it cannot change', async () => {
    setUp({ ok: false, rows: 0, skipped: 'no rows are recorded' });
    expect(
      await screen.findByText(
        'Recorded rows were not compared: no rows are recorded.'
      )
    ).toBeVisible();
    expect(screen.queryByRole('button')).toBeNull();
  });

  it('asks again when told to, and shows the last verdict until then', async () => {
    const { server, user } = setUp({});
    const again = await screen.findByRole('button', { name: 'Check again' });
    const answer = later<{ json: Verification }>();
    server.on(VERIFY, () => answer.promise);
    await user.click(again);
    expect(again).toBeDisabled();
    expect(screen.getByText(/answered as in the notebook/)).toBeVisible();
    const differences = [{ row: 0, expected: 1, got: 2 }];
    const different = makeVerification({
      ok: false,
      different: 1,
      differences
    });
    answer.resolve({ json: different });
    expect(await screen.findByText(/^1 of 20 recorded rows/)).toBeVisible();
    expect(again).toBeEnabled();
  });

  it('shows what kept it from being asked', async () => {
    const server = new FakeServer().fail(VERIFY, 503, {
      message: 'It does not answer now.',
      hint: 'Try again.'
    });
    const { verifications } = makeKale(server).services;
    render(
      <VerificationView service={makeService()} verifications={verifications} />
    );
    expect(await screen.findByText('It does not answer now.')).toBeVisible();
    expect(screen.getByRole('button', { name: 'Check again' })).toBeEnabled();
  });
});

describe('Verifications', () => {
  it('asks what was served from this window as soon as it is ready', async () => {
    const server = new FakeServer()
      .on('POST services', makeService('iris', { phase: 'Loading' }))
      .on(VERIFY, makeVerification());
    const events = new FakeEvents(server);
    const { services } = makeKale(server, events);
    events.tell('added', makeRef('other'), makeService('other'));
    await services.serve({ model_id: 1 });
    expect(server.of(VERIFY)).toHaveLength(0);
    events.tell('modified', makeRef(), makeService());
    await settled();
    expect(server.sent.filter(s => s.path.endsWith('verify'))).toHaveLength(1);
    expect(services.verifications.of(makeRef())?.verification?.ok).toBe(true);
    services.dispose();
  });

  it('asks a service of the same name that was served anew, at the same revision', async () => {
    const server = new FakeServer().on(VERIFY, makeVerification());
    const { verifications } = makeKale(server).services;
    await verifications.ensure(makeService('iris', { created: 1 }));
    server.on(VERIFY, makeVerification({ ok: false, different: 3 }));
    await verifications.ensure(makeService('iris', { created: 2 }));
    expect(server.of(VERIFY)).toHaveLength(2);
    expect(verifications.of(makeRef())?.verification?.ok).toBe(false);
  });

  it('knows nothing of a service that is gone, though it was asked and answers late', async () => {
    const slow = later<{ json: Verification }>();
    const server = new FakeServer().on(VERIFY, makeVerification());
    const events = new FakeEvents(server);
    const { services } = makeKale(server, events);
    const { verifications } = services;
    events.tell('added', makeRef(), makeService());
    await settled();
    await verifications.ensure(makeService());
    expect(verifications.of(makeRef())?.verification?.ok).toBe(true);
    server.on(VERIFY, () => slow.promise);
    const again = verifications.ask(makeService());
    events.tell('deleted', makeRef(), null);
    expect(verifications.of(makeRef())).toBeNull();
    slow.resolve({ json: makeVerification() });
    await again;
    expect(verifications.of(makeRef())).toBeNull();
    services.dispose();
  });

  it('knows nothing of another service of the same name that is loading', async () => {
    const server = new FakeServer().on(VERIFY, makeVerification());
    const events = new FakeEvents(server);
    const { services } = makeKale(server, events);
    events.tell('added', makeRef(), makeService('iris', { created: 1 }));
    await settled();
    await services.verifications.ensure(makeService('iris', { created: 1 }));
    const anew = makeService('iris', { created: 2, phase: 'Loading' });
    events.tell('modified', makeRef(), anew);
    await settled();
    expect(services.verifications.of(makeRef())).toBeNull();
    services.dispose();
  });

  it('tells of a newer revision what was asked of it, not what came late of the one before', async () => {
    const slow = later<{ json: Verification }>();
    const server = new FakeServer().on(VERIFY, () => slow.promise);
    const { verifications } = makeKale(server).services;
    const first = verifications.ensure(makeService());
    server.on(VERIFY, makeVerification({ rows: 7 }));
    await verifications.ensure(makeService('iris', { revision: 2 }));
    slow.resolve({ json: makeVerification({ rows: 3 }) });
    await first;
    expect(verifications.of(makeRef())?.verification?.rows).toBe(7);
  });
});

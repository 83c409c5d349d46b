import { act, render, screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import * as React from 'react';
import {
  FakeServer,
  makeKale,
  makeRef,
  makeService,
  settled
} from '../../__tests__/fixtures';
import LogsView from '../view';

const LOGS = 'GET services/local/localhost/default/iris/logs';

async function setUp(server: FakeServer) {
  server.on('GET services', {
    items: [makeService('iris', { components: ['predictor', 'transformer'] })]
  });
  const kale = makeKale(server);
  kale.services.start();
  const view = render(<LogsView kale={kale} target={makeRef()} />);
  await act(settled);
  return { ...view, user: userEvent.setup() };
}

describe('LogsView', () => {
  it('follows a component, and reads the one that is chosen', async () => {
    const server = new FakeServer().on(
      LOGS,
      (sent: { query: URLSearchParams }) => ({
        text: `of ${sent.query.get('component')}\n`
      })
    );
    const { user } = await setUp(server);
    expect(screen.getByRole('log')).toHaveTextContent('of predictor');
    await user.selectOptions(screen.getByLabelText('Component'), 'transformer');
    await act(settled);
    expect(screen.getByRole('log')).toHaveTextContent('of transformer');
    expect(server.of(LOGS).map(s => s.query.get('follow'))).toEqual([
      'true',
      'true'
    ]);
  });

  it('says that the connection broke while it was read', async () => {
    const server = new FakeServer().on(
      LOGS,
      () =>
        new Response(
          new ReadableStream({
            pull: controller => controller.error(new TypeError('network error'))
          })
        )
    );
    await setUp(server);
    expect(screen.getByRole('alert')).toHaveTextContent('cannot be reached');
  });

  it('reads the run before without following it', async () => {
    const server = new FakeServer().on(LOGS, () => ({ text: '' }));
    const { user } = await setUp(server);
    await user.click(screen.getByLabelText('Previous run'));
    await act(settled);
    const { query } = server.of(LOGS)[1];
    expect(query.get('previous')).toBe('true');
    expect(query.get('follow')).toBe('false');
    expect(screen.getByRole('log')).toHaveTextContent(
      'There was no previous run.'
    );
  });

  it('says why there is none', async () => {
    const server = new FakeServer().fail(LOGS, 404, { message: 'No service.' });
    await setUp(server);
    expect(screen.getByRole('alert')).toHaveTextContent('No service.');
  });

  it('hangs up when it is closed', async () => {
    const server = new FakeServer().on(
      LOGS,
      () => new Promise(() => undefined)
    );
    const { unmount } = await setUp(server);
    unmount();
    expect(server.of(LOGS)[0].signal.aborted).toBe(true);
  });

  it('shows markup as text', async () => {
    const server = new FakeServer().on(LOGS, () => ({
      text: '<script>alert(1)</script>\n'
    }));
    const { container } = await setUp(server);
    expect(screen.getByRole('log')).toHaveTextContent(
      '<script>alert(1)</script>'
    );
    expect(container.querySelector('script')).toBeNull();
  });
});

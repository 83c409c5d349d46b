import { act, render, screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { run } from 'axe-core';
import * as React from 'react';
import type { ISent } from '../../__tests__/fixtures';
import {
  FakeServer,
  later,
  makeHealth,
  settled,
  trans
} from '../../__tests__/fixtures';
import type { EngineInfo, Health } from '../../api/types';
import { HealthModel } from '../model';
import { HealthView } from '../view';

const LOCAL = makeHealth().engine;
const TEAM: EngineInfo = {
  ...LOCAL,
  kind: 'cluster',
  context: 'kale',
  namespace: 'team-a'
};
const FAR = { ...TEAM, context: 'far', namespace: 'default' };

const ENGINE = { name: /^New services run/ };

async function setUp(change: Partial<Health> = {}, isOpen = true) {
  const server = new FakeServer()
    .on('GET health', makeHealth(change))
    .on('GET engines', { items: [LOCAL, TEAM, FAR], message: '' })
    .on('GET engines/namespaces', { items: ['team-a', 'b'], complete: true })
    .on('POST engines', TEAM);
  const model = new HealthModel({ client: server.client, trans });
  model.start();
  await settled();
  const { container } = render(
    <HealthView away={null} model={model} onRefresh={jest.fn()} />
  );
  const user = userEvent.setup();
  if (isOpen) {
    await user.click(screen.getByRole('button', ENGINE));
    await act(settled);
  }
  return { server, model, container, user };
}

const place = () => screen.getByLabelText('New services run');
const namespace = () => screen.getByLabelText('Namespace');
const chosen = (server: FakeServer) =>
  server.of('POST engines').map((sent: ISent) => sent.body);
const submit = () => screen.getByRole('button', { name: 'Switch' });

describe('The header of the panel', () => {
  it.each([
    [LOCAL, 'This machine · default'],
    [TEAM, 'kale · team-a'],
    [{ ...TEAM, context: 'in-cluster' }, 'This cluster · team-a'],
    [{ ...TEAM, context: '' }, 'Cluster · team-a']
  ])('says where new services run, and why', async (engine, words) => {
    await setUp({ engine, engine_reason: 'It was found.' }, false);
    const button = screen.getByRole('button', ENGINE);
    expect(button).toHaveAccessibleName(`New services run: ${words}`);
    expect(button.textContent).toBe(words.replace(' · ', '· '));
    expect(button.title).toContain(`namespace ${engine.namespace}`);
    expect(button.title).toContain('It was found.');
    expect(button).toHaveAttribute('aria-expanded', 'false');
  });

  it('asks again soon after a request that failed', async () => {
    const { promise, resolve } = later<void>();
    const server = new FakeServer();
    server.on('GET health', () => {
      if (server.of('GET health').length === 1) {
        return { status: 503, json: {} };
      }
      resolve();
      return { json: makeHealth() };
    });
    const model = new HealthModel({ client: server.client, trans });
    model.start();
    await promise;
    await settled();
    expect(model.error).toBeNull();
    expect(model.health).not.toBeNull();
    model.dispose();
  });

  it('asks for what there is to choose from when it is opened', async () => {
    const { server, user } = await setUp({}, false);
    expect(server.of('GET engines')).toHaveLength(0);
    await user.tab();
    await user.keyboard('{Enter}');
    await act(settled);
    expect(place()).toHaveFocus();
    expect(
      within(place())
        .getAllByRole('option')
        .map(option => option.textContent)
    ).toEqual(['where KServe is found', 'This machine', 'kale', 'far']);
    expect(screen.getByText('There is no kubeconfig here.')).toBeVisible();
    expect(server.of('GET engines/namespaces')).toHaveLength(0);
    await user.keyboard('{Escape}');
    expect(screen.queryByRole('form')).toBeNull();
    expect(screen.getByRole('button', ENGINE)).toHaveFocus();
  });

  it('sends services to a namespace of a cluster', async () => {
    const { server, user, container } = await setUp();
    await user.selectOptions(place(), 'kale');
    await act(settled);
    expect(namespace()).toHaveValue('team-a');
    expect(
      [...container.querySelectorAll('datalist option')].map(option =>
        option.getAttribute('value')
      )
    ).toEqual(['team-a', 'b']);
    await user.clear(namespace());
    await user.type(namespace(), ' b ');
    server.on(
      'GET health',
      makeHealth({ engine: { ...TEAM, namespace: 'b' } })
    );
    await user.click(submit());
    await act(settled);
    expect(chosen(server)).toEqual([
      { kind: 'cluster', context: 'kale', namespace: 'b' }
    ]);
    expect(screen.queryByRole('form')).toBeNull();
    expect(screen.getByRole('button', ENGINE)).toHaveAccessibleName(
      /kale · b$/
    );
  });

  it('goes back to this machine, or to whatever is found', async () => {
    const { server, user } = await setUp({ engine: TEAM, engine_by: 'chosen' });
    expect(place()).toHaveDisplayValue('kale');
    await user.selectOptions(place(), 'This machine');
    expect(screen.queryByLabelText('Namespace')).toBeNull();
    await user.click(submit());
    await act(settled);
    await user.click(screen.getByRole('button', ENGINE));
    await user.selectOptions(place(), 'where KServe is found');
    await user.click(submit());
    await act(settled);
    expect(chosen(server)).toEqual([{ kind: 'local' }, { kind: '' }]);
  });

  it('says why a place is not to be had, and stays where it was', async () => {
    const { server, user } = await setUp();
    server.fail('POST engines', 403, {
      message: 'You may not create inferenceservices.',
      hint: 'Ask.'
    });
    await user.selectOptions(place(), 'kale');
    await user.click(submit());
    await act(settled);
    expect(screen.getByRole('alert')).toHaveTextContent(
      'You may not create inferenceservices.Ask.'
    );
    expect(submit()).toBeEnabled();
    await user.selectOptions(place(), 'This machine');
    expect(screen.queryByRole('alert')).toBeNull();
  });

  it('tells of a cluster that cannot be asked, at its namespace', async () => {
    const { server, user } = await setUp();
    server.fail('GET engines/namespaces', 503, { message: 'far is away.' });
    await user.selectOptions(place(), 'far');
    await act(settled);
    expect(namespace()).toBeInvalid();
    expect(namespace()).toHaveAccessibleDescription('far is away.');
    server.on('GET engines/namespaces', { items: ['team-a'], complete: false });
    await user.selectOptions(place(), 'kale');
    await act(settled);
    expect(namespace()).toBeValid();
    expect(namespace()).toHaveAccessibleDescription(/Write the one you mean/);
  });

  it('keeps the present engine in the list, whatever became of it', async () => {
    const gone = { ...TEAM, context: 'gone' };
    const { server, user } = await setUp(
      { engine: gone, engine_by: 'chosen' },
      false
    );
    server.on('GET engines', { items: [LOCAL], message: 'No file.' });
    await user.click(screen.getByRole('button', ENGINE));
    await act(settled);
    expect(place()).toHaveDisplayValue('gone');
    expect(place()).toHaveAccessibleDescription('No file.');
  });

  it('says that the configuration fixes it, and asks nothing', async () => {
    const { server } = await setUp({ engine_by: 'configured' });
    const form = screen.getByRole('form');
    expect(form).toHaveTextContent('fixed by this server’s configuration');
    expect(within(form).queryByRole('combobox')).toBeNull();
    expect(within(form).getByRole('button', { name: 'Close' })).toHaveFocus();
    expect(server.of('GET engines')).toHaveLength(0);
  });

  it('has nothing that axe finds fault with', async () => {
    const { container, user } = await setUp();
    await user.selectOptions(place(), 'kale');
    await act(settled);
    const { violations } = await run(container, {
      rules: {
        'color-contrast': { enabled: false },
        region: { enabled: false }
      }
    });
    expect(violations.map(v => [v.id, v.nodes[0].html])).toEqual([]);
  });
});

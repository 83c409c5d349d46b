import { act, render, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { run } from 'axe-core';
import * as React from 'react';
import {
  FakeEvents,
  FakeServer,
  later,
  makeActions,
  makeArtifact,
  makeDetail,
  makeHealth,
  makeKale,
  makeName,
  makeRef,
  makeService,
  settled,
  trans
} from '../../__tests__/fixtures';
import type { Health, RegisteredName, Service, Share } from '../../api/types';
import { PanelState } from '../state';
import PanelView from '../view';

// The environment has no layout to scroll in.
const scrollIntoView = Object.getOwnPropertyDescriptor(
  Element.prototype,
  'scrollIntoView'
);

afterEach(() => {
  if (scrollIntoView) {
    Object.defineProperty(Element.prototype, 'scrollIntoView', scrollIntoView);
  } else {
    Reflect.deleteProperty(Element.prototype, 'scrollIntoView');
  }
});

const EVIL = '<img src=x onerror="window.hacked=1">';

async function setUp(
  options: {
    models?: RegisteredName[];
    services?: Service[];
    health?: Health;
    server?: FakeServer;
  } = {}
) {
  const models = options.models ?? [makeName()];
  const server = options.server ?? new FakeServer();
  server
    .on('GET health', options.health ?? makeHealth())
    .on('GET services', { items: options.services ?? [] })
    .on('GET models', (sent: { query: URLSearchParams }) => {
      const search = sent.query.get('search') ?? '';
      const items = models.filter(m => m.latest.name.includes(search));
      return { json: { items, next_cursor: '', total: items.length } };
    });
  const events = new FakeEvents(server);
  const kale = makeKale(server, events);
  const state = new PanelState();
  const actions = makeActions();
  const { container } = render(
    <PanelView kale={kale} state={state} actions={actions} trans={trans} />
  );
  kale.start();
  await act(settled);
  return {
    server,
    events,
    kale,
    state,
    actions,
    container,
    user: userEvent.setup()
  };
}

const region = (name: string) => screen.getByRole('region', { name });

/**
 * Of the newest version and the one before.
 */
function shares(percent: number): Share[] {
  const of = (version: string) => ({ id: 0, name: 'iris', version });
  return [
    { revision: 'r2', percent, newest: true, model: of('2') },
    { revision: 'r1', percent: 100 - percent, newest: false, model: of('1') }
  ].map(share => ({ ...share, assumed: false }));
}

describe('PanelView', () => {
  it('says once that the server is away, and keeps what was listed', async () => {
    const { kale, server } = await setUp({
      services: [makeService('my-iris')]
    });
    for (const start of ['GET health', 'GET services', 'GET models']) {
      server.on(start, () => {
        throw new TypeError('Failed to fetch');
      });
    }
    await act(async () => {
      await kale.health.refresh();
      await kale.services.refresh();
      await kale.models.refresh();
    });
    expect(screen.getAllByRole('alert')).toHaveLength(1);
    expect(screen.getByRole('alert')).toHaveTextContent('cannot be reached');
    const row = screen.getByRole('listitem', { name: 'my-iris, Unknown' });
    expect(row).toHaveTextContent('Unknown Last known: Ready.');
    // Nothing is announced of every row.
    expect(within(row).queryByRole('status')).toBeNull();

    server
      .on('GET health', makeHealth())
      .on('GET services', { items: [makeService('my-iris')] })
      .on('GET models', { items: [], next_cursor: '', total: 0 });
    await act(async () => {
      await kale.health.refresh();
      await kale.services.refresh();
      await kale.models.refresh();
    });
    expect(screen.queryByRole('alert')).toBeNull();
    expect(within(row).getByRole('status')).toHaveTextContent(/^Ready$/);
  });

  it.each(['services', 'models'] as const)(
    'says once that the server is away where its %s find out first',
    async first => {
      const { kale, server } = await setUp({ services: [makeService()] });
      server.on(`GET ${first}`, () => {
        throw new TypeError('Failed to fetch');
      });
      await act(() => kale[first].refresh());
      expect(screen.getAllByRole('alert')).toHaveLength(1);
      expect(
        within(region(first === 'models' ? 'Models' : 'Services')).queryByRole(
          'alert'
        )
      ).toBeNull();
    }
  );

  it('brings the row of what was served into sight, and marks it', async () => {
    const scroll = jest.fn();
    Element.prototype.scrollIntoView = scroll;
    const { state } = await setUp({
      services: [makeService('first'), makeService('second')]
    });
    act(() => state.toggle('shut:services'));
    expect(screen.queryByRole('listitem', { name: /^second/ })).toBeNull();
    act(() => state.mark('service:local/localhost/default/second', 'services'));
    const row = screen.getByRole('listitem', { name: /^second/ });
    expect(row).toHaveClass('jp-mod-marked');
    expect(scroll.mock.contexts).toEqual([row]);
    await waitFor(() => expect(row).not.toHaveClass('jp-mod-marked'), {
      timeout: 20_000
    });
  });

  it('tells in one line that the metadata engine is being installed', async () => {
    const health = makeHealth();
    health.backends.metadata = {
      state: 'installing',
      message: 'Installing the metadata engine: fetching ml-metadata',
      hint: ''
    };
    const { kale, server } = await setUp({ health });
    server.fail('GET models', 503, {
      reason: 'MetadataUnavailable',
      message: 'The metadata engine is being installed.'
    });
    await act(() => kale.models.refresh());
    expect(screen.getByRole('progressbar')).toHaveAccessibleName(
      /fetching ml-metadata/
    );
    expect(screen.queryByRole('alert')).toBeNull();
    expect(screen.getAllByText(/metadata engine/)).toHaveLength(1);
    expect(document.querySelector('.jp-KaleNote')).toBeNull();
  });

  it('has rows that are known by the names of models and services', async () => {
    const { actions, user } = await setUp({
      services: [makeService('my-iris')]
    });
    const row = within(region('Services')).getByRole('listitem', {
      name: /^my-iris/
    });
    expect(within(row).getByRole('status')).toHaveTextContent('Ready');
    for (const verb of ['Test', 'Logs of', 'Pause', 'Update', 'Delete']) {
      const name = `${verb} my-iris`;
      await user.click(within(row).getByRole('button', { name }));
    }
    const ref = makeRef('my-iris');
    expect(actions.test).toHaveBeenCalledWith(ref);
    expect(actions.logs).toHaveBeenCalledWith(ref);
    expect(actions.pause).toHaveBeenCalledWith(ref);
    expect(actions.update).toHaveBeenCalledWith(ref);
    expect(actions.remove).toHaveBeenCalledWith(ref);
    const model = within(region('Models')).getByRole('listitem', {
      name: /^iris/
    });
    await user.click(within(model).getByRole('button', { name: /^Serve/ }));
    expect(actions.serve).toHaveBeenCalledWith({ modelId: 1 });
  });

  it('is one tab stop for each row, with arrow keys inside', async () => {
    const { user } = await setUp({
      services: [makeService('first'), makeService('second')]
    });
    const button = (name: string) => screen.getByRole('button', { name });
    act(() => button('first').focus());
    await user.keyboard('{ArrowRight}');
    expect(button('Test first')).toHaveFocus();
    await user.keyboard('{End}{ArrowRight}');
    expect(button('Delete first')).toHaveFocus();
    await user.keyboard('{ArrowLeft}');
    expect(button('Update first')).toHaveFocus();
    await user.tab();
    expect(button('second')).toHaveFocus();
    // The row is come back to where it was left.
    await user.tab({ shift: true });
    expect(button('Update first')).toHaveFocus();
    await user.keyboard('{ArrowDown}');
    expect(button('second')).toHaveFocus();
    await user.keyboard('{ArrowUp}{Home}');
    expect(button('first')).toHaveFocus();
  });

  it('keeps the focus in a row whose button cannot be pressed any more', async () => {
    const { server, kale } = await setUp({ services: [makeService()] });
    const name = within(region('Services')).getByRole('button', {
      name: 'iris'
    });
    const remove = screen.getByRole('button', { name: 'Delete iris' });
    const answer = later<{ status: number }>();
    server.on('DELETE services/', () => answer.promise);
    act(() => remove.focus());
    let deleted: Promise<void> | undefined;
    act(() => {
      deleted = kale.services.delete(makeRef());
    });
    expect(remove).toBeDisabled();
    expect(name).toHaveFocus();
    await act(async () => {
      answer.resolve({ status: 204 });
      await deleted;
    });
  });

  it('keeps the focus in a row whose button goes', async () => {
    const service = makeService('iris', { can_roll_back: true });
    const { events } = await setUp({ services: [service] });
    const back = screen.getByRole('button', { name: 'Roll back iris' });
    act(() => back.focus());
    await act(async () => {
      events.tell('modified', makeRef(), makeService());
      await settled();
    });
    expect(back).not.toBeInTheDocument();
    expect(
      within(region('Services')).getByRole('button', { name: 'iris' })
    ).toHaveFocus();
  });

  it('is come back to by arrow keys where its last button cannot be pressed any more', async () => {
    const { events, user } = await setUp({
      services: [makeService('first'), makeService('second')]
    });
    const button = (name: string) => screen.getByRole('button', { name });
    act(() => button('Test first').focus());
    await act(async () => {
      const ending = makeService('first', { phase: 'Terminating' });
      events.tell('modified', makeRef('first'), ending);
      await settled();
    });
    expect(button('Test first')).toBeDisabled();
    expect(button('first')).toHaveFocus();
    await user.keyboard('{ArrowRight}');
    expect(button('Logs of first')).toHaveFocus();
    await user.keyboard('{ArrowDown}');
    expect(button('second')).toHaveFocus();
    await user.keyboard('{ArrowUp}');
    expect(button('Logs of first')).toHaveFocus();
  });

  it('gives the focus to a neighbour when a service goes', async () => {
    const services = ['a', 'b', 'c'].map(name => makeService(name));
    const { events } = await setUp({ services });
    const button = (name: string) => screen.getByRole('button', { name });
    act(() => button('Delete b').focus());
    for (const [gone, next] of [
      ['b', 'c'],
      ['c', 'a'],
      ['a', 'Services']
    ]) {
      await act(async () => {
        events.tell('deleted', makeRef(gone), null);
        await settled();
      });
      expect(button(next)).toHaveFocus();
    }
  });

  it('has the whole of a name that may be cut off in its tooltip', async () => {
    const name = 'a-name-that-is-longer-than-the-panel-is-wide';
    await setUp({
      services: [makeService(name)],
      models: [makeName({ name })]
    });
    for (const button of screen.getAllByRole('button', { name })) {
      expect(button).toHaveAttribute('title', name);
    }
  });

  it('follows the phase, with its reason', async () => {
    const { events } = await setUp({
      services: [makeService('iris', { phase: 'Loading', reason: 'Starting.' })]
    });
    expect(screen.getByRole('status')).toHaveTextContent('Loading Starting.');
    await act(async () => {
      events.tell(
        'modified',
        makeRef(),
        makeService('iris', { phase: 'Failed', reason: 'Exit code 1.' })
      );
      await settled();
    });
    expect(screen.getByRole('status')).toHaveTextContent('Failed Exit code 1.');
  });

  it.each(['Paused', 'Stopped'] as const)('resumes what is %s', async phase => {
    const { actions, user } = await setUp({
      services: [makeService('iris', { phase })]
    });
    expect(screen.queryByRole('button', { name: /^Pause/ })).toBeNull();
    await user.click(screen.getByRole('button', { name: /^Resume/ }));
    expect(actions.resume).toHaveBeenCalledWith(makeRef());
  });

  it('manages what was made elsewhere, and says that it was', async () => {
    const { actions, user } = await setUp({
      services: [makeService('theirs', { ours: false, model: null })]
    });
    expect(screen.getByText('Not made here')).toBeVisible();
    expect(screen.queryByRole('button', { name: /^Update/ })).toBeNull();
    await user.click(screen.getByRole('button', { name: /^Pause/ }));
    expect(actions.pause).toHaveBeenCalledWith(makeRef('theirs'));
    await user.click(screen.getByRole('button', { name: /^Delete/ }));
    expect(actions.remove).toHaveBeenCalledWith(makeRef('theirs'));
  });

  it('says of a service without pods that it can be asked', async () => {
    const reason = 'Scaled to zero; the next request starts it.';
    await setUp({ services: [makeService('iris', { phase: 'Idle', reason })] });
    expect(screen.getByRole('status')).toHaveTextContent(`Idle ${reason}`);
    expect(screen.getByRole('button', { name: /^Test/ })).toBeEnabled();
    expect(screen.queryByRole('button', { name: /^Resume/ })).toBeNull();
  });

  it('names what answers while an update fails, and leads back', async () => {
    const model = { id: 1, name: 'iris', version: '1' };
    const names = { id: 5, name: 'names', version: '2' };
    const revision = { by: 'ada (train.ipynb)', created: 1_700_000_000 };
    const server = new FakeServer().on('GET services/local', {
      items: [
        {
          ...revision,
          number: 3,
          model,
          transformer: names,
          changes: ['transformer names 2: added'],
          back_to: 0,
          newest: true,
          answers: false
        },
        {
          ...revision,
          number: 2,
          model,
          transformer: null,
          changes: [],
          back_to: 1,
          newest: false,
          answers: true
        }
      ]
    });
    const { actions, user } = await setUp({
      server,
      services: [
        makeService('iris', {
          phase: 'Degraded',
          revision: 3,
          serving_revision: 2,
          model,
          transformer: names,
          answering: {
            revision: 2,
            model,
            transformer: null,
            protocol: 'v1',
            components: ['predictor'],
            task: ''
          },
          can_roll_back: true
        })
      ]
    });
    const services = within(region('Services'));
    const [row] = services.getAllByRole('listitem');
    expect(row).toHaveTextContent('iris v1Not serving: iris v1 with names v2');
    await user.click(services.getByRole('button', { name: /^Roll back/ }));
    expect(actions.rollBack).toHaveBeenCalledWith(makeRef());

    await user.click(services.getByRole('button', { name: 'iris' }));
    await user.click(services.getByRole('button', { name: 'Revisions' }));
    const older = await services.findByText(/^2: iris v1 \(answers\)/);
    expect(older.closest('li')).toHaveTextContent(
      'Rolled back to 1ada (train.ipynb)'
    );
    expect(services.getByText('transformer names 2: added')).toBeVisible();
    await user.click(services.getByRole('button', { name: 'Roll back to 2' }));
    expect(actions.rollBack).toHaveBeenCalledWith(makeRef(), 2);
  });

  it('tells the conditions of each component, and no good state as a fault', async () => {
    const condition = (type: string, status = 'True') =>
      ({
        type,
        status,
        reason: '',
        message: '',
        last_transition: 0
      }) as Service['conditions'][number];
    const { user } = await setUp({
      services: [
        makeService('iris', {
          components: ['predictor', 'transformer'],
          replicas: [
            { component: 'predictor', ready: 1, wanted: 1 },
            { component: 'transformer', ready: 1, wanted: 2 }
          ],
          conditions: [
            condition('PredictorReady'),
            condition('TransformerReady', 'False'),
            condition('Ready'),
            condition('Stopped', 'False')
          ]
        })
      ]
    });
    await user.click(
      within(region('Services')).getByRole('button', { name: 'iris' })
    );
    expect(screen.getByText('1 predictor, 1 of 2 transformers')).toBeVisible();
    await user.click(screen.getByRole('button', { name: 'Conditions' }));
    expect(region('Predictor')).toHaveTextContent(/^PredictorReady$/);
    expect(region('Transformer').querySelector('.jp-mod-cross')).not.toBeNull();
    expect(screen.queryByText('Stopped')).toBeNull();
  });

  it.each([true, false])(
    'offers revisions where its engine keeps them: %s',
    async kept => {
      const engine = {
        ...makeHealth().engine,
        kind: 'elsewhere',
        revisions: kept
      };
      const ref = { ...makeRef(), engine: 'elsewhere' };
      const { user } = await setUp({
        services: [makeService('iris', { ref, revision: 2 })],
        health: makeHealth({ engine, engines: [engine] })
      });
      await user.click(
        within(region('Services')).getByRole('button', { name: 'iris' })
      );
      expect(
        screen.queryAllByRole('button', { name: 'Revisions' })
      ).toHaveLength(kept ? 1 : 0);
    }
  );

  it('has no way back where there is none', async () => {
    await setUp({ services: [makeService()] });
    expect(screen.queryByRole('button', { name: /^Roll back/ })).toBeNull();
  });

  it('shows who gets the requests, and lets one version be chosen', async () => {
    const { actions, user } = await setUp({
      services: [makeService('iris', { mode: 'Knative', shares: shares(20) })]
    });
    await user.click(
      within(region('Services')).getByRole('button', { name: 'iris' })
    );
    const split = within(screen.getByRole('region', { name: 'Requests' }));
    expect(
      split.getAllByRole('listitem').map(item => item.textContent)
    ).toEqual(['iris v2 (newest)20 %', 'iris v180 %']);
    await user.click(split.getByRole('button', { name: /^Promote/ }));
    expect(actions.promote).toHaveBeenCalledWith(makeRef());
    await user.click(split.getByRole('button', { name: /^Roll back/ }));
    expect(actions.rollBack).toHaveBeenCalledWith(makeRef());
  });

  it.each([
    [0, ['Promote']],
    [100, ['Roll back']]
  ])('offers at %s % what is left to choose', async (percent, offered) => {
    const { user } = await setUp({
      services: [makeService('iris', { shares: shares(percent) })]
    });
    await user.click(
      within(region('Services')).getByRole('button', { name: 'iris' })
    );
    const split = within(screen.getByRole('region', { name: 'Requests' }));
    expect(
      split.getAllByRole('button').map(button => button.textContent)
    ).toEqual(offered);
  });

  it('says where a share is only asked for, and lets what gets none be taken away', async () => {
    const { user } = await setUp({
      services: [
        makeService('iris', {
          mode: 'Standard',
          shares: shares(0).map(share => ({ ...share, assumed: true }))
        })
      ]
    });
    await user.click(
      within(region('Services')).getByRole('button', { name: 'iris' })
    );
    const split = within(screen.getByRole('region', { name: 'Requests' }));
    expect(split.getByText('100 % asked for')).toBeVisible();
    expect(split.getByRole('button', { name: /^Roll back/ })).toBeEnabled();
  });

  it('does not let a version be chosen that is not ready', async () => {
    const { user } = await setUp({
      services: [makeService('iris', { phase: 'Loading', shares: shares(0) })]
    });
    await user.click(
      within(region('Services')).getByRole('button', { name: 'iris' })
    );
    expect(screen.getByRole('button', { name: /^Promote/ })).toBeDisabled();
  });

  it('shows the last lines of a log that ended badly', async () => {
    const { user } = await setUp({
      services: [
        makeService('iris', {
          phase: 'Failed',
          log_tail: 'ModuleNotFoundError: xgboost',
          steps: [
            {
              component: 'predictor',
              title: 'Load the model',
              state: 'failed',
              message: ''
            }
          ]
        })
      ]
    });
    expect(screen.queryByText(/ModuleNotFoundError/)).toBeNull();
    await user.click(
      within(region('Services')).getByRole('button', { name: 'iris' })
    );
    expect(screen.getByText('ModuleNotFoundError: xgboost')).toBeVisible();
    expect(screen.getByText('Load the model')).toBeVisible();
  });

  it('tells what went wrong with an action in its row', async () => {
    const { server, kale, user } = await setUp({ services: [makeService()] });
    server.fail('PATCH services/', 403, {
      message: 'Not allowed.',
      hint: 'Ask for it.'
    });
    await act(() => kale.services.patch(makeRef(), { paused: true }));
    const alert = screen.getByRole('alert');
    expect(alert).toHaveTextContent('Not allowed.Ask for it.');
    await user.click(within(alert).getByRole('button', { name: 'Dismiss' }));
    expect(screen.queryByRole('alert')).toBeNull();
  });

  it('searches models by name', async () => {
    const { user } = await setUp({
      models: [makeName({ id: 1 }), makeName({ id: 2, name: 'prices' })]
    });
    const search = screen.getByRole('searchbox', { name: 'Search models' });
    await user.type(search, 'pri');
    await waitFor(() =>
      expect(screen.queryByRole('listitem', { name: /^iris/ })).toBeNull()
    );
    expect(screen.getByRole('listitem', { name: /^prices/ })).toBeVisible();
    await user.type(search, 'x');
    expect(
      await screen.findByText('No model matches “prix”.')
    ).toBeInTheDocument();
  });

  it('opens a model’s versions, each to be served', async () => {
    const newest = makeArtifact({ id: 2, version: '2' });
    const older = makeArtifact({ id: 1, version: '1' });
    const server = new FakeServer().on(
      'GET models/2',
      makeDetail({
        artifact: newest,
        versions: [newest, older],
        lineage: {
          artifact: newest,
          produced_by: [
            {
              execution_id: 1,
              type: 'kale.Log',
              name: '',
              context: 'train.ipynb',
              state: 'COMPLETE',
              started: 0,
              inputs: [],
              outputs: [2],
              service: null
            }
          ],
          consumed_by: [],
          related: {}
        }
      })
    );
    const { actions, user } = await setUp({
      server,
      models: [makeName({ id: 2, version: '2' }, 2)]
    });
    await user.click(screen.getByRole('button', { name: 'iris' }));
    expect(await screen.findByText('Logged in train.ipynb')).toBeVisible();
    const row = screen.getByRole('listitem', { name: 'Version 1' });
    await user.click(within(row).getByRole('button', { name: /^Serve/ }));
    expect(actions.serve).toHaveBeenCalledWith({ modelId: 1 });
  });

  it('teaches the first step where there is nothing yet', async () => {
    await setUp({ models: [] });
    expect(screen.getByText(/submit_artifact\(\)/)).toBeVisible();
    expect(
      screen.getByRole('button', { name: 'Copy the code' })
    ).toBeInTheDocument();
  });

  it('says which backend is not there, and what to do', async () => {
    const health = makeHealth();
    health.backends.metadata = {
      state: 'error',
      message: 'No Python for ml-metadata.',
      hint: 'Run kale-serve-ext setup.'
    };
    health.backends.store = { state: 'installing', message: '', hint: '' };
    await setUp({ health });
    expect(screen.getByText('No Python for ml-metadata.')).toBeVisible();
    expect(screen.getByText('Run kale-serve-ext setup.')).toBeVisible();
    expect(screen.getByRole('progressbar')).toHaveAccessibleName(
      /Installing the snapshot store/
    );
  });

  it('says so once where the server part is not installed', async () => {
    const kale = makeKale(new FakeServer());
    render(
      <PanelView
        kale={kale}
        state={new PanelState()}
        actions={makeActions()}
        trans={trans}
      />
    );
    kale.start();
    await act(settled);
    expect(screen.getAllByRole('alert')).toHaveLength(1);
    expect(screen.getByRole('alert')).toHaveTextContent(
      /pip install kale-serve-ext/
    );
  });

  it('shows every string as text, whatever it holds', async () => {
    const artifact = makeArtifact({
      name: EVIL,
      version: EVIL,
      description: EVIL,
      author: EVIL,
      format: EVIL,
      uri: EVIL,
      tags: { [EVIL]: EVIL }
    });
    const service = makeService(EVIL, {
      phase: 'Failed',
      reason: EVIL,
      log_tail: EVIL,
      url: EVIL,
      model: { id: 1, name: EVIL, version: EVIL },
      steps: [
        { component: 'predictor', title: EVIL, state: 'failed', message: EVIL }
      ]
    });
    const server = new FakeServer()
      .on('GET models/1', makeDetail({ artifact }))
      .on('GET services/', {
        items: [
          {
            time: 0,
            type: 'Warning',
            reason: EVIL,
            message: EVIL,
            object: '',
            count: 1
          }
        ]
      });
    const { container, user } = await setUp({
      server,
      models: [{ latest: artifact, versions: 2 }],
      services: [service]
    });
    for (const button of screen.getAllByRole('button', { name: EVIL })) {
      await user.click(button);
    }
    await user.click(screen.getByRole('button', { name: 'Events' }));
    await act(settled);
    expect(screen.getAllByText(EVIL).length).toBeGreaterThan(8);
    expect(container.querySelector('img, script')).toBeNull();
    expect(window).not.toHaveProperty('hacked');
  });

  it('has nothing that axe finds fault with', async () => {
    const { container, user } = await setUp({
      server: new FakeServer().on('GET models/1', makeDetail()),
      services: [makeService('my-iris', { phase: 'Failed', log_tail: 'x' })]
    });
    await user.click(screen.getByRole('button', { name: 'my-iris' }));
    await user.click(screen.getByRole('button', { name: 'iris' }));
    await act(settled);
    const { violations } = await run(container, {
      // There is no layout here to measure, nor a page around the panel.
      rules: {
        'color-contrast': { enabled: false },
        region: { enabled: false }
      }
    });
    expect(violations.map(v => [v.id, v.nodes[0].html])).toEqual([]);
  });
});

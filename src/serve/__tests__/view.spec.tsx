import { act, render, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import * as React from 'react';
import {
  FakeEvents,
  FakeServer,
  later,
  makeArtifact,
  makeDetail,
  makeKale,
  makeName,
  makePlan,
  makeRuntime,
  makeService,
  settled,
  trans
} from '../../__tests__/fixtures';
import type { Artifact, Check, Plan, Service, Setup } from '../../api/types';
import { ServeFormModel } from '../model';
import { ServeView } from '../view';

function check(change: Partial<Check>): Check {
  const empty = { code: 'X', message: '', hint: '', field: '' };
  return { level: 'error', ...empty, ...change };
}

async function setUp(
  plan: Plan | ((body: Record<string, unknown>) => Plan),
  isUpdate = false,
  canSplit = false,
  details: Artifact['details'] = {},
  patience?: number
) {
  const newest = makeArtifact({ id: 2, version: '2.0.0', details });
  const older = makeArtifact({ id: 1, version: '1.0.0' });
  const server = new FakeServer()
    .on(
      'GET models/2',
      makeDetail({ artifact: newest, versions: [newest, older] })
    )
    .on('GET transformers', {
      items: [makeName({ id: 5, name: 'names', type: 'kale.Transformer' })],
      next_cursor: '',
      total: 1
    })
    .on('POST plan', (sent: { body: unknown }) => ({
      json:
        typeof plan === 'function'
          ? plan(sent.body as Record<string, unknown>)
          : plan
    }))
    .on('POST services', makeService('iris', { phase: 'Pending' }));
  const events = new FakeEvents(server);
  const kale = makeKale(server, events);
  const model = new ServeFormModel({
    client: kale.client,
    services: kale.services,
    environments: kale.environments,
    subject: {
      modelId: 2,
      canSplit,
      initial: isUpdate ? { name: 'iris' } : undefined
    },
    trans,
    delay: 0,
    patience
  });
  const served: Service[] = [];
  render(
    <ServeView
      model={model}
      isUpdate={isUpdate}
      onServed={service => served.push(service)}
      onCancel={() => undefined}
    />
  );
  await act(() => model.load());
  return { server, events, model, served, user: userEvent.setup() };
}

const serveButton = () => screen.getByRole('button', { name: 'Serve' });

describe('ServeView', () => {
  it('has its fields by their names, filled by the plan', async () => {
    await setUp(makePlan());
    expect(screen.getByLabelText('Name')).toHaveValue('iris');
    expect(screen.getByLabelText('Version')).toHaveDisplayValue(
      '2.0.0 (newest)'
    );
    expect(screen.getByLabelText('Runtime')).toHaveDisplayValue(
      'Automatic: KServe sklearn server'
    );
    expect(screen.getByLabelText('Transformer')).toHaveDisplayValue('None');
    expect(screen.getByLabelText('Protocol')).toHaveDisplayValue(
      'Automatic: v1'
    );
    expect(serveButton()).toBeEnabled();
  });

  it('has nothing to update where nothing would change', async () => {
    const { server } = await setUp(makePlan({ exists: true }), true);
    const plan = screen.getByRole('region', { name: 'Plan' });
    expect(plan).toHaveTextContent('No changes.');
    expect(plan).not.toHaveTextContent('Ready to update');
    expect(screen.getByRole('button', { name: 'Update' })).toBeDisabled();
    expect(server.of('POST services')).toHaveLength(0);
  });

  it('serves nothing that turns out to be as it is already', async () => {
    const change = { path: 'spec.x', before: 1, after: 2 };
    const { server, model, user } = await setUp(
      ({ method }) =>
        makePlan({ exists: true, differences: method ? [] : [change] }),
      true
    );
    act(() => {
      model.method = 'predict';
    });
    await user.click(screen.getByRole('button', { name: 'Update' }));
    expect(server.of('POST services')).toHaveLength(0);
    expect(screen.getByText('No changes.')).toBeVisible();
  });

  it('tells a new version in words, not by its digests', async () => {
    const uri = (digit: string) => `file:///s/sha256/${digit.repeat(64)}`;
    const { user } = await setUp(
      makePlan({
        exists: true,
        changes: ['model iris 1.0.0 → 1.1.0'],
        differences: [
          { path: 'spec.storageUri', before: uri('1'), after: uri('2') },
          { path: 'spec.minReplicas', before: 1, after: 2 }
        ]
      }),
      true
    );
    expect(screen.getByText('model iris 1.0.0 → 1.1.0')).toBeVisible();
    await user.click(screen.getByRole('button', { name: 'Field by field' }));
    expect(screen.getByText('spec.minReplicas')).toBeVisible();
    expect(screen.queryByText('spec.storageUri')).toBeNull();
  });

  it('lets what is typed take the place of the proposed name', async () => {
    const { user } = await setUp(makePlan());
    expect(screen.getByLabelText('Name')).toHaveFocus();
    await user.keyboard('mine');
    expect(screen.getByLabelText('Name')).toHaveValue('mine');
    await user.keyboard('-too');
    expect(screen.getByLabelText('Name')).toHaveValue('mine-too');
  });

  it('offers only the runtimes that fit, and says why the others do not', async () => {
    const misfit = makeRuntime({
      name: 'kserve-xgbserver',
      display_name: 'KServe XGBoost server',
      fits: false,
      chosen: false,
      reason: 'it serves xgboost, not sklearn'
    });
    await setUp(makePlan({ runtimes: [makeRuntime(), misfit] }));
    const runtime = screen.getByLabelText('Runtime');
    expect(
      within(runtime).getByRole('option', { name: 'KServe sklearn server' })
    ).toBeEnabled();
    expect(
      within(runtime).getByRole('option', {
        name: 'KServe XGBoost server: it serves xgboost, not sklearn'
      })
    ).toBeDisabled();
  });

  it('shows a problem at its field, and does not serve', async () => {
    await setUp(
      makePlan({
        ok: false,
        checks: [
          check({
            field: 'name',
            message: 'The name is taken.',
            hint: 'Choose another.'
          })
        ]
      })
    );
    const name = screen.getByLabelText('Name');
    expect(name).toBeInvalid();
    expect(name).toHaveAccessibleDescription(/The name is taken\..*another/);
    expect(serveButton()).toBeDisabled();
  });

  it('plans anew for what is chosen, and serves that', async () => {
    const { server, served, user } = await setUp(body =>
      makePlan({ name: String(body.name), protocol: 'v2' })
    );
    await user.clear(screen.getByLabelText('Name'));
    await user.type(screen.getByLabelText('Name'), 'my-iris');
    await user.selectOptions(screen.getByLabelText('Version'), '1.0.0');
    await user.selectOptions(
      screen.getByLabelText('Transformer'),
      'names, version 1'
    );
    await user.selectOptions(screen.getByLabelText('Protocol'), 'v2');
    await waitFor(() => expect(serveButton()).toBeEnabled());
    const wanted = {
      name: 'my-iris',
      model_id: 1,
      transformer_id: 5,
      protocol: 'v2',
      runtime: ''
    };
    expect(server.of('POST plan').pop()?.body).toMatchObject(wanted);
    await user.click(serveButton());
    await waitFor(() => expect(served).toHaveLength(1));
    expect(server.of('POST services')[0].body).toMatchObject(wanted);
  });

  it('can be served before its plan is made, and waits for it', async () => {
    const { server, served, user } = await setUp(makePlan());
    const plan = later<{ json: Plan }>();
    server.on('POST plan', () => plan.promise);
    await user.selectOptions(screen.getByLabelText('Protocol'), 'v2');
    await waitFor(() => expect(server.of('POST plan')).toHaveLength(2));
    await user.click(serveButton());
    expect(server.of('POST services')).toHaveLength(0);
    plan.resolve({ json: makePlan({ protocol: 'v2' }) });
    await waitFor(() => expect(served).toHaveLength(1));
    expect(server.of('POST services')[0].body).toMatchObject({
      protocol: 'v2'
    });
  });

  it('closes when the upload has begun', async () => {
    const { server, served, user } = await setUp(makePlan());
    const upload = { artifact: 'iris', done: 0, total: 3e8, error: '' };
    const service = makeService('iris', {
      phase: 'Uploading',
      revision: 0,
      upload
    });
    server.on('POST services', () => ({ status: 202, json: service }));

    await user.click(serveButton());

    await waitFor(() => expect(served).toHaveLength(1));
  });

  it('does not end its planning with the plan for what was chosen before', async () => {
    const { server, model } = await setUp(makePlan());
    const before = later<{ json: Plan }>();
    server.on('POST plan', () => before.promise);
    act(() => {
      model.protocol = 'v2';
    });
    await waitFor(() => expect(server.of('POST plan')).toHaveLength(2));
    await act(async () => {
      model.protocol = 'v1';
      before.resolve({ json: makePlan({ protocol: 'v2' }) });
      await before.promise;
    });
    expect(model.isPlanning).toBe(true);
    server.on('POST plan', makePlan({ protocol: 'v1' }));
    await waitFor(() => expect(server.of('POST plan')).toHaveLength(3));
  });

  it('serves nothing whose plan turns out bad, and goes to the field', async () => {
    const { server, user } = await setUp(makePlan());
    const plan = later<{ json: Plan }>();
    server.on('POST plan', () => plan.promise);
    const name = screen.getByLabelText('Name');
    await user.type(name, '!');
    await user.click(serveButton());
    expect(name).not.toHaveFocus();
    const checks = [check({ field: 'name', message: 'Not legal.' })];
    plan.resolve({ json: makePlan({ ok: false, checks }) });
    await waitFor(() => expect(name).toHaveFocus());
    expect(name).toBeInvalid();
    expect(server.of('POST services')).toHaveLength(0);
  });

  it('stays open, and says why, where serving fails', async () => {
    const { server, served, user } = await setUp(makePlan());
    server.fail('POST services', 507, {
      message: 'The disk is full.',
      hint: 'Free some room.'
    });
    await user.click(serveButton());
    expect(await screen.findByRole('alert')).toHaveTextContent(
      'The disk is full.Free some room.'
    );
    expect(served).toHaveLength(0);
    expect(serveButton()).toBeEnabled();
  });

  it('says why there is no plan', async () => {
    const server = new FakeServer();
    const kale = makeKale(server);
    server.fail('', 503, { message: 'Metadata away.', hint: 'Start it.' });
    const model = new ServeFormModel({
      client: kale.client,
      services: kale.services,
      environments: kale.environments,
      subject: { modelId: 2 },
      trans,
      delay: 0
    });
    render(
      <ServeView
        model={model}
        isUpdate={false}
        onServed={() => undefined}
        onCancel={() => undefined}
      />
    );
    await act(() => model.load());
    expect(screen.getByRole('alert')).toHaveTextContent('Metadata away.');
    expect(serveButton()).toBeDisabled();
  });

  it('shows what an update changes, and keeps the name', async () => {
    const { user } = await setUp(
      makePlan({
        exists: true,
        changes: ['model iris 1.0.0 → 1.1.0', 'transformer names 1: removed'],
        differences: [
          {
            path: 'spec.predictor.model.storageUri',
            before: 'file:///a',
            after: 'file:///b'
          }
        ]
      }),
      true
    );
    expect(screen.getByLabelText('Name')).toHaveAttribute('readonly');
    expect(
      screen.getByRole('list', { name: 'What changes' })
    ).toHaveTextContent('model iris 1.0.0 → 1.1.0transformer names 1: removed');
    await user.click(screen.getByRole('button', { name: 'Field by field' }));
    expect(screen.getByRole('table')).toHaveTextContent('file:///afile:///b');
    expect(screen.getByRole('button', { name: 'Update' })).toBeEnabled();
  });

  it('leaves the transformer that is there, unless it is to be removed', async () => {
    const now = { id: 4, name: 'scale', version: '3' };
    const { server, user } = await setUp(
      makePlan({
        changes: ['transformer names: changed'],
        exists: true,
        transformer_now: now
      })
    );
    const select = screen.getByLabelText('Transformer');
    expect(select).toHaveDisplayValue('Unchanged: scale, version 3');
    await user.click(serveButton());
    await user.selectOptions(select, 'None');
    expect(select).toHaveDisplayValue('None');
    await user.click(serveButton());
    await waitFor(() => expect(server.of('POST services')).toHaveLength(2));
    const [left, removed] = server.of('POST services').map(s => s.body);
    expect(left).not.toHaveProperty('transformer_id');
    expect(removed).toMatchObject({
      transformer_id: null,
      remove: ['transformer']
    });
  });

  it('asks for a share where versions can have one', async () => {
    const { server, user } = await setUp(makePlan(), true, true);
    const share = screen.getByLabelText('Share of requests (%)');
    expect(share).toHaveValue(100);
    await user.clear(share);
    expect(share).toBeInvalid();
    await user.type(share, '20');
    await user.click(screen.getByRole('button', { name: 'Update' }));
    await waitFor(() => expect(server.of('POST services')).toHaveLength(1));
    expect(server.of('POST services')[0].body).toMatchObject({
      config: { predictor: { canaryTrafficPercent: 20 } }
    });
  });

  it('asks for none where they cannot', async () => {
    await setUp(makePlan(), true);
    expect(screen.queryByLabelText('Share of requests (%)')).toBeNull();
  });

  it('offers what the model can answer, and serves that', async () => {
    const methods = ['predict', 'predict_proba'];
    const { server, user } = await setUp(makePlan({ methods }));
    const answer = screen.getByLabelText('Answer');
    expect(answer).toHaveDisplayValue('Automatic: Classes (predict)');
    await user.selectOptions(answer, 'Probabilities (predict_proba)');
    await user.click(serveButton());
    await waitFor(() => expect(server.of('POST services')).toHaveLength(1));
    expect(server.of('POST services')[0].body).toMatchObject({
      method: 'predict_proba'
    });
  });

  it('asks for no method where there is but predict', async () => {
    await setUp(makePlan({ methods: ['predict'] }));
    expect(screen.queryByLabelText('Answer')).toBeNull();
  });

  it('says at the choice what is wrong with it', async () => {
    await setUp(
      makePlan({
        ok: false,
        method: '',
        methods: ['transform'],
        checks: [check({ field: 'method', message: 'PCA cannot predict.' })]
      })
    );
    const answer = screen.getByLabelText('Answer');
    expect(answer).toBeInvalid();
    expect(answer).toHaveAccessibleDescription(/PCA cannot predict/);
    expect(
      within(answer).getByRole('option', {
        name: 'Transformed rows (transform)'
      })
    ).toBeEnabled();
  });

  it('can require the recorded answers, where there are some', async () => {
    const { server, user } = await setUp(makePlan(), false, false, {
      recorded_rows: 12
    });
    const choice = screen.getByRole('checkbox', {
      name: 'Require the recorded answers'
    });
    expect(choice).not.toBeChecked();
    expect(choice).toHaveAccessibleDescription(/the recorded rows \(12\)/);
    await user.click(choice);
    await user.click(serveButton());
    await waitFor(() => expect(server.of('POST services')).toHaveLength(1));
    expect(server.of('POST services')[0].body).toMatchObject({
      verify: 'require'
    });
  });

  it('shows that they stay required, until that is chosen otherwise', async () => {
    const { server, user } = await setUp(
      makePlan({
        exists: true,
        verify: 'require',
        changes: ['replicas 1 → 2']
      }),
      false,
      false,
      { recorded_rows: 12 }
    );
    const choice = screen.getByRole('checkbox', {
      name: 'Require the recorded answers'
    });
    expect(choice).toBeChecked();
    await user.click(choice);
    expect(choice).not.toBeChecked();
    await user.click(serveButton());
    await waitFor(() => expect(server.of('POST services')).toHaveLength(1));
    expect(server.of('POST services')[0].body).toMatchObject({
      verify: 'warn'
    });
  });

  it('says at that choice why it cannot be required', async () => {
    const message = 'No rows are recorded.';
    await setUp(
      makePlan({ ok: false, checks: [check({ field: 'verify', message })] })
    );
    const choice = screen.getByRole('checkbox');
    expect(choice).toBeInvalid();
    expect(choice).toHaveAccessibleDescription(message);
  });

  it('does not offer to require answers that are not recorded', async () => {
    await setUp(makePlan());
    expect(screen.queryByRole('checkbox')).toBeNull();
  });

  it('changes what others made, and their fields, only when told to', async () => {
    const plans = (body: Record<string, unknown>) => {
      const taken = check({ code: 'NotMadeHere', field: 'name' });
      const conflict = check({ code: 'ClusterConflict', message: 'Theirs.' });
      const checks = !body.update ? [taken] : !body.force ? [conflict] : [];
      return makePlan({ ok: checks.length === 0, checks });
    };
    const { server, user } = await setUp(plans);
    const force = 'Take over fields that others own';
    expect(screen.queryByRole('checkbox', { name: force })).toBeNull();
    await user.click(
      screen.getByRole('checkbox', {
        name: 'Change this service although it was created elsewhere'
      })
    );
    await user.click(await screen.findByRole('checkbox', { name: force }));
    await user.click(serveButton());
    await waitFor(() => expect(server.of('POST services')).toHaveLength(1));
    expect(server.of('POST services')[0].body).toMatchObject({
      update: true,
      force: true
    });
  });

  it('writes the manifest as YAML or JSON', async () => {
    const { user } = await setUp(
      makePlan({ manifest: { kind: 'InferenceService', spec: { a: [1] } } })
    );
    await user.click(screen.getByRole('button', { name: 'Manifest' }));
    expect(
      await screen.findByText(/kind: InferenceService\s+spec:\s+a:\s+- 1/)
    ).toBeInTheDocument();
    await user.click(screen.getByRole('radio', { name: 'JSON' }));
    expect(screen.getByText(/"kind": "InferenceService"/)).toBeInTheDocument();
  });

  it('shows secrets of the manifest when they are asked for', async () => {
    const env = [{ name: 'DB_PASSWORD', value: 'hunter2' }];
    const { user } = await setUp(
      makePlan({ manifest: { spec: { predictor: { model: { env } } } } })
    );
    await user.click(screen.getByRole('button', { name: 'Manifest' }));
    expect(await screen.findByText(/name: DB_PASSWORD/)).toBeInTheDocument();
    expect(screen.queryByText(/hunter2/)).not.toBeInTheDocument();
    await user.click(
      screen.getByRole('button', { name: 'Show secret values' })
    );
    expect(screen.getByText(/value: hunter2/)).toBeInTheDocument();
    await user.click(
      screen.getByRole('button', { name: 'Hide secret values' })
    );
    expect(screen.queryByText(/hunter2/)).not.toBeInTheDocument();
  });

  it('shows secrets among what changes when they are asked for', async () => {
    const path = 'spec.predictor.model.env[DB_PASSWORD].value';
    const { user } = await setUp(
      makePlan({
        exists: true,
        differences: [{ path, before: 'hunter2', after: 'hunter3' }]
      })
    );
    await user.click(
      await screen.findByRole('button', { name: 'Field by field' })
    );
    expect(screen.getByText(path)).toBeInTheDocument();
    expect(screen.queryByText(/hunter/)).not.toBeInTheDocument();
    await user.click(
      screen.getByRole('button', { name: 'Show secret values' })
    );
    expect(screen.getByText('hunter3')).toBeInTheDocument();
  });
});

describe('SetupNote', () => {
  const setup: Setup = {
    environment: 'mlserver',
    title: 'MLServer',
    megabytes: 460,
    state: 'missing',
    message: '',
    hint: '',
    python: '',
    python_version: '',
    command: 'kale-serve-ext setup mlserver',
    cancellable: false
  };
  const lacking = makePlan({
    setup,
    runtimes: [
      makeRuntime({ name: 'kserve-mlserver', display_name: 'MLServer', setup })
    ]
  });
  const info = {
    name: 'mlserver',
    title: 'MLServer',
    purpose: '',
    python_version: '',
    state: 'installing',
    message: '',
    hint: '',
    version: '',
    megabytes: 460
  };
  const cancelButton = () =>
    screen.queryByRole('button', { name: 'Cancel installation' });

  it('tells the size, installs, shows how far that is, and plans anew', async () => {
    let isReady = false;
    const { server, events, user } = await setUp(() =>
      isReady ? makePlan() : lacking
    );
    server.on('POST environments/mlserver', info);
    expect(
      screen.getByRole('option', {
        name: 'MLServer: not set up yet, about 460 MB'
      })
    ).toBeEnabled();
    expect(screen.getByText('It takes about 460 MB.')).toBeInTheDocument();
    expect(screen.getByText('Set up MLServer first.')).toBeInTheDocument();
    expect(serveButton()).toBeDisabled();

    await user.click(screen.getByRole('button', { name: 'Set up' }));
    const name = 'mlserver';
    const message = 'Installing MLServer: fetching its packages';
    act(() => events.tellEnvironment(name, 'installing', { message }));
    expect(screen.getByRole('status')).toHaveTextContent(message);

    isReady = true;
    act(() => events.tellEnvironment(name, 'ready'));
    await waitFor(() => expect(serveButton()).toBeEnabled());
    await waitFor(() =>
      expect(screen.queryByRole('status')).not.toBeInTheDocument()
    );
  });

  it('says why it failed and what to do, and tries again', async () => {
    const { server, events, user } = await setUp(lacking);
    act(() =>
      events.tellEnvironment('mlserver', 'failed', {
        message: 'MLServer could not be installed.',
        hint: 'Connect first.'
      })
    );
    expect(screen.getByText('Connect first.')).toBeInTheDocument();
    expect(screen.getByRole('alert')).toHaveTextContent(
      'MLServer could not be installed.'
    );
    server.fail('POST environments/mlserver', 504, {
      message: 'It took too long.'
    });
    await user.click(screen.getByRole('button', { name: 'Try again' }));
    expect(await screen.findByText('It took too long.')).toBeInTheDocument();
  });

  it('cancels', async () => {
    const python = '/envs/ml/bin/python';
    const { server, events, user } = await setUp({
      ...lacking,
      setup: { ...setup, state: 'installing', python, cancellable: true }
    });
    server.on('DELETE environments/mlserver/installation', () => ({
      status: 204
    }));
    await user.click(
      screen.getByRole('button', { name: 'Cancel installation' })
    );
    const [sent] = server.of('DELETE environments/mlserver/installation');
    expect(sent.query.get('python')).toBe(python);
    act(() => events.tellEnvironment('mlserver', 'missing'));
    expect(screen.getByRole('button', { name: 'Set up' })).toHaveFocus();
  });

  it('asks how far another process is, and has nothing to cancel there', async () => {
    let isMade = false;
    const theirs: Setup = { ...setup, state: 'installing', message: 'Theirs' };
    await setUp(
      () => (isMade ? makePlan() : { ...lacking, setup: theirs }),
      false,
      false,
      {},
      5
    );
    expect(screen.getByRole('status')).toHaveTextContent('Theirs');
    expect(cancelButton()).not.toBeInTheDocument();
    isMade = true;
    await waitFor(() => expect(serveButton()).toBeEnabled());
    expect(screen.queryByRole('status')).not.toBeInTheDocument();
  });

  it('keeps the plan while it cannot be asked how far another process is', async () => {
    const theirs: Setup = { ...setup, state: 'installing', message: 'Theirs' };
    let isAway = true;
    const plan = { ...lacking, setup: theirs };
    const { server } = await setUp(plan, false, false, {}, 5);
    server.on('POST plan', () =>
      isAway ? { status: 503, json: {} } : { json: makePlan() }
    );
    const before = server.of('POST plan').length;
    await waitFor(() =>
      expect(server.of('POST plan').length).toBeGreaterThan(before + 1)
    );
    expect(screen.getByRole('status')).toHaveTextContent('Theirs');
    isAway = false;
    await waitFor(() => expect(serveButton()).toBeEnabled());
  });

  it('takes no failure to cancel for one to install', async () => {
    const ours: Setup = { ...setup, state: 'installing', cancellable: true };
    let state = ours;
    const { server, user } = await setUp(() => ({ ...lacking, setup: state }));
    server.fail('DELETE environments/mlserver/installation', 504, {
      message: 'It took too long.'
    });
    const cancel = () =>
      user.click(screen.getByRole('button', { name: 'Cancel installation' }));
    await cancel();
    expect(await screen.findByText('It took too long.')).toBeVisible();
    expect(cancelButton()).toBeInTheDocument();

    // What is over, or goes on elsewhere, the plan tells.
    state = { ...ours, cancellable: false };
    server.fail('DELETE environments/mlserver/installation', 404, {
      message: 'This server is not installing it.'
    });
    await cancel();
    await waitFor(() => expect(cancelButton()).not.toBeInTheDocument());
    expect(screen.getByRole('status')).toBeVisible();
    expect(screen.queryByRole('alert')).not.toBeInTheDocument();
  });

  it('is about the overlay for the Python of this model alone', async () => {
    const beside: Setup = { ...setup, python_version: '3.12' };
    const { server, events } = await setUp({ ...lacking, setup: beside });
    const before = server.of('POST plan').length;
    for (const state of ['installing', 'failed', 'ready'] as const) {
      act(() =>
        events.tellEnvironment('mlserver', state, { python_version: '3.11' })
      );
      expect(screen.getByRole('button', { name: 'Set up' })).toBeEnabled();
    }
    expect(server.of('POST plan')).toHaveLength(before);
    act(() =>
      events.tellEnvironment('mlserver', 'installing', {
        python_version: '3.12'
      })
    );
    expect(screen.getByRole('status')).toBeVisible();
    // It was removed for all versions.
    act(() => events.tellEnvironment('mlserver', 'missing'));
    expect(screen.getByRole('button', { name: 'Set up' })).toBeEnabled();
  });

  it('believes a plan that is newer than what was heard', async () => {
    const { server, events, model } = await setUp(lacking);
    act(() => events.tellEnvironment('mlserver', 'ready'));
    // Somebody has removed it again: there is no end to wait for.
    await waitFor(() => expect(model.isPlanning).toBe(false));
    expect(screen.getByRole('button', { name: 'Set up' })).toBeEnabled();
    const before = server.of('POST plan').length;
    act(() => events.tellEnvironment('triton', 'installing'));
    await settled();
    expect(server.of('POST plan')).toHaveLength(before);
  });

  it('plans once more for what came to its end while it was planned', async () => {
    const { server, events, model } = await setUp(lacking);
    const late = later<{ json: Plan }>();
    server.on('POST plan', () => late.promise);
    act(() => {
      model.protocol = 'v2';
    });
    await waitFor(() => expect(server.of('POST plan')).toHaveLength(2));
    act(() => events.tellEnvironment('mlserver', 'installing'));
    expect(screen.getByRole('status')).toBeVisible();
    await act(async () => {
      late.resolve({ json: lacking });
      await late.promise;
    });
    await waitFor(() => expect(model.isPlanning).toBe(false));
    expect(screen.getByRole('status')).toBeVisible();
    server.on('POST plan', makePlan());
    act(() => events.tellEnvironment('mlserver', 'ready'));
    await waitFor(() => expect(serveButton()).toBeEnabled());
  });

  it('keeps the focus in what it tells, and hands it to the runtimes', async () => {
    let isReady = false;
    const { server, events, user } = await setUp(() =>
      isReady ? makePlan() : lacking
    );
    server.on('POST environments/mlserver', info);
    screen.getByRole('button', { name: 'Set up' }).focus();
    await user.keyboard('{Enter}');
    expect(screen.getByRole('group', { name: 'MLServer' })).toHaveFocus();
    await user.tab();
    expect(cancelButton()).toHaveFocus();
    isReady = true;
    act(() => events.tellEnvironment('mlserver', 'ready'));
    await waitFor(() => expect(screen.getByLabelText('Runtime')).toHaveFocus());
    expect(cancelButton()).not.toBeInTheDocument();
  });

  it('takes the focus from nowhere else', async () => {
    const { events, user } = await setUp(lacking);
    const name = screen.getByLabelText('Name');
    await user.click(name);
    act(() => events.tellEnvironment('mlserver', 'installing'));
    act(() => events.tellEnvironment('mlserver', 'missing'));
    expect(name).toHaveFocus();
  });
});

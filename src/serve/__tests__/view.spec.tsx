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
  trans
} from '../../__tests__/fixtures';
import type { Check, Plan, Service } from '../../api/types';
import { ServeFormModel } from '../model';
import { ServeView } from '../view';

function check(change: Partial<Check>): Check {
  const empty = { code: 'X', message: '', hint: '', field: '' };
  return { level: 'error', ...empty, ...change };
}

async function setUp(
  plan: Plan | ((body: Record<string, unknown>) => Plan),
  isUpdate = false,
  canSplit = false
) {
  const newest = makeArtifact({ id: 2, version: '2.0.0' });
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
    .on('POST services', makeService());
  const events = new FakeEvents();
  const kale = makeKale(server, events);
  const model = new ServeFormModel({
    client: kale.client,
    services: kale.services,
    subject: {
      modelId: 2,
      canSplit,
      initial: isUpdate ? { name: 'iris' } : undefined
    },
    trans,
    delay: 0
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

  it('shows how far the upload is that it waits for', async () => {
    const { server, events, served, user } = await setUp(makePlan());
    const answer = later<{ json: Service }>();
    server.on('POST services', () => answer.promise);
    const upload = { artifact: 'iris', done: 1.2e8, total: 3e8 };
    act(() => events.tellUpload(upload));
    expect(screen.queryByRole('progressbar')).toBeNull();

    await user.click(serveButton());
    act(() => events.tellUpload(upload));
    expect(
      screen.getByRole('progressbar', { name: 'Uploading iris: 120 of 300 MB' })
    ).toHaveValue(1.2e8);
    answer.resolve({ json: makeService() });
    await waitFor(() => expect(served).toHaveLength(1));
    expect(screen.queryByRole('progressbar')).toBeNull();
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
    await setUp(
      makePlan({
        exists: true,
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
    const table = screen.getByRole('table', { name: 'What changes' });
    expect(table).toHaveTextContent('file:///afile:///b');
    expect(screen.getByRole('button', { name: 'Update' })).toBeEnabled();
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

  it('changes what others made, and their fields, only when told to', async () => {
    const plans = (body: Record<string, unknown>) => {
      const taken = check({ code: 'NotMadeHere', field: 'name' });
      const conflict = check({ code: 'ClusterConflict', message: 'Theirs.' });
      const checks = !body.update ? [taken] : !body.force ? [conflict] : [];
      return makePlan({ ok: checks.length === 0, checks });
    };
    const { server, user } = await setUp(plans);
    const force = 'Take over the fields that others have set';
    expect(screen.queryByRole('checkbox', { name: force })).toBeNull();
    await user.click(
      screen.getByRole('checkbox', {
        name: 'Change this service, though it was not made here'
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
});

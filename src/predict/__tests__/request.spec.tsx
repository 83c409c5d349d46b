import { act, render, screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import * as React from 'react';
import {
  FakeServer,
  later,
  makeArtifact,
  makeDetail,
  makeKale,
  makePrediction,
  makeRef,
  makeService,
  makeSignature,
  settled
} from '../../__tests__/fixtures';
import type { Prediction, Service, Signature } from '../../api/types';
import PredictView from '../view';

const PREDICT = 'POST services/local/localhost/default/iris/predict';

const signature = makeSignature({
  columns: [
    { name: 'length', dtype: 'float64' },
    { name: 'count', dtype: 'int64' }
  ],
  sample: { length: 1.5, count: 2 }
});

async function setUp(
  options: {
    signature?: Signature | null;
    service?: Partial<Service>;
    transformer?: Signature | null;
  } = {}
) {
  const artifact = makeArtifact({
    signature: options.signature === undefined ? signature : options.signature
  });
  const transformer = makeArtifact({
    id: 5,
    signature: options.transformer ?? null
  });
  const server = new FakeServer()
    .on('GET services', { items: [makeService('iris', options.service)] })
    .on('GET models/1', makeDetail({ artifact }))
    .on('GET models/5', makeDetail({ artifact: transformer }))
    .on(PREDICT, makePrediction());
  const kale = makeKale(server);
  kale.services.start();
  render(<PredictView kale={kale} target={makeRef()} />);
  await act(settled);
  return { server, user: userEvent.setup() };
}

const send = () => screen.getByRole('button', { name: 'Send' });
const answer = () => screen.getByRole('region', { name: 'Answer' });

describe('PredictView', () => {
  it('makes a form of the signature, with the sample in it', async () => {
    const { server, user } = await setUp();
    expect(
      screen.getByRole('region', { name: 'Test request' })
    ).toContainElement(answer());
    expect(screen.getByLabelText('length')).toHaveValue('1.5');
    expect(screen.getByLabelText('count')).toHaveValue('2');
    await user.clear(screen.getByLabelText('length'));
    await user.type(screen.getByLabelText('length'), '7.25');
    await user.click(send());
    await waitFor(() => expect(answer()).toHaveTextContent('3.21 ms'));
    expect(answer()).toHaveTextContent('"predictions": [ 1 ]');
    expect(server.of(PREDICT)[0].body).toEqual({
      rows: [{ length: 7.25, count: 2 }],
      component: ''
    });
    for (const name of ['Copy as Python', 'Copy as command']) {
      expect(screen.getByRole('button', { name })).toBeEnabled();
    }
  });

  it('sends nothing while a field is wrong, and says which', async () => {
    const { server, user } = await setUp();
    await user.type(screen.getByLabelText('count'), '.5');
    expect(screen.getByLabelText('count')).toBeValid();
    await user.click(send());
    expect(screen.getByLabelText('count')).toBeInvalid();
    expect(server.of(PREDICT)).toHaveLength(0);
  });

  it('takes what was filled in along to the JSON mode', async () => {
    const { server, user } = await setUp();
    await user.click(screen.getByRole('radio', { name: 'JSON' }));
    expect(screen.getByLabelText('Request body')).toHaveValue(
      '{"instances":[{"length":1.5,"count":2}]}'
    );
    await user.click(send());
    await act(settled);
    expect(server.of(PREDICT)[0].body).toEqual({
      raw: { instances: [{ length: 1.5, count: 2 }] },
      component: ''
    });
  });

  it('refuses a body that is not JSON where it is typed', async () => {
    const { server, user } = await setUp({ signature: null });
    const body = screen.getByLabelText('Request body');
    await user.clear(body);
    await user.type(body, '[[1, 2');
    expect(body).toHaveAccessibleDescription(/not valid JSON/);
    await user.click(send());
    expect(server.of(PREDICT)).toHaveLength(0);
  });

  it('takes a row as JSON where the fields would be too many', async () => {
    const wide = makeSignature({
      input_size: ['batch_size', 2, 2],
      sample: [
        [1, 2],
        [3, 4]
      ]
    });
    const { server, user } = await setUp({ signature: wide });
    expect(screen.getByLabelText('Row')).toHaveValue('[[1,2],[3,4]]');
    await user.click(send());
    await act(settled);
    expect(server.of(PREDICT)[0].body).toMatchObject({
      rows: [
        [
          [1, 2],
          [3, 4]
        ]
      ]
    });
  });

  it('shows the model’s own message where it answers with an error', async () => {
    const { server, user } = await setUp();
    server.fail(PREDICT, 502, {
      message: 'X has 1 features, but it expects 2.',
      hint: 'See the logs.'
    });
    await user.click(send());
    expect(await screen.findByRole('alert')).toHaveTextContent(
      'X has 1 features, but it expects 2.See the logs.'
    );
    server.on(PREDICT, makePrediction());
    await user.click(send());
    await waitFor(() =>
      expect(screen.queryByRole('alert')).not.toBeInTheDocument()
    );
  });

  it('can be given up while it waits', async () => {
    const { server, user } = await setUp();
    const slow = later<{ json: Prediction }>();
    server.on(PREDICT, () => slow.promise);
    await user.click(send());
    expect(send()).toBeDisabled();
    await user.click(screen.getByRole('button', { name: 'Cancel' }));
    slow.resolve({ json: makePrediction() });
    await act(settled);
    expect(server.of(PREDICT)[0].signal.aborted).toBe(true);
  });

  it('sends past the transformer where that is chosen', async () => {
    const { server, user } = await setUp({
      service: {
        components: ['predictor', 'transformer'],
        transformer: { id: 5, name: 'names', version: '1' }
      }
    });
    expect(screen.getByText(/These are the model’s fields/)).toBeVisible();
    await user.selectOptions(
      screen.getByLabelText('Send to'),
      'the predictor, past the transformer'
    );
    await user.click(send());
    await act(settled);
    expect(server.of(PREDICT)[0].body).toMatchObject({
      component: 'predictor'
    });
  });

  it('goes by the transformer’s signature where there is one', async () => {
    await setUp({
      service: {
        components: ['predictor', 'transformer'],
        transformer: { id: 5, name: 'names', version: '1' }
      },
      transformer: makeSignature({
        columns: [{ name: 'text', dtype: 'object' }]
      })
    });
    expect(screen.getByLabelText('text')).toBeVisible();
    expect(screen.queryByLabelText('length')).not.toBeInTheDocument();
  });

  it('says so where the service is gone', async () => {
    const server = new FakeServer().on('GET services', { items: [] });
    const kale = makeKale(server);
    kale.services.start();
    render(<PredictView kale={kale} target={makeRef()} />);
    expect(await screen.findByText('The service iris is gone.')).toBeVisible();
  });
});

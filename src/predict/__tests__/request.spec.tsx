import { Clipboard } from '@jupyterlab/apputils';
import { act, render, screen, waitFor, within } from '@testing-library/react';
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
import { MOST_BYTES } from '../base64';
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
    .on('GET services/local/localhost/default/iris/predict', {
      inputs: [],
      outputs: []
    })
    .on('GET models/1', makeDetail({ artifact }))
    .on('GET models/5', makeDetail({ artifact: transformer }))
    .on(PREDICT, makePrediction());
  const kale = makeKale(server);
  kale.services.start();
  const onLogs = jest.fn();
  render(<PredictView kale={kale} target={makeRef()} onLogs={onLogs} />);
  await act(settled);
  return { server, kale, onLogs, user: userEvent.setup() };
}

async function write(
  user: ReturnType<typeof userEvent.setup>,
  text: string
): Promise<void> {
  const body = screen.getByLabelText('Request body');
  await user.clear(body);
  await user.click(body);
  await user.paste(text);
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
    expect(answer()).toHaveTextContent('{"predictions": [1]}');
    expect(server.of(PREDICT)[0].body).toEqual({
      rows: '[{"length": 7.25, "count": 2}]',
      component: ''
    });
    for (const name of ['Copy as Python', 'Copy as command']) {
      expect(screen.getByRole('button', { name })).toBeEnabled();
    }
  });

  it('says that something is copied, to all', async () => {
    const copy = jest
      .spyOn(Clipboard, 'copyToSystem')
      .mockImplementation(() => undefined);
    const { user } = await setUp();
    await user.click(send());
    const button = await screen.findByRole('button', {
      name: 'Copy as Python'
    });
    await user.click(button);
    expect(copy).toHaveBeenCalledWith(makePrediction().python);
    expect(button).toHaveAccessibleName('Copied');
    expect(
      screen.getAllByRole('status').map(({ textContent }) => textContent)
    ).toContain('Copied');
    await waitFor(() => expect(button).toHaveAccessibleName('Copy as Python'), {
      timeout: 20_000
    });
    copy.mockRestore();
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
      '{"instances": [{"length": 1.5, "count": 2}]}'
    );
    await user.click(send());
    await act(settled);
    expect(server.of(PREDICT)[0].body).toEqual({
      raw: '{"instances": [{"length": 1.5, "count": 2}]}',
      component: ''
    });
  });

  it('takes a row that was written as JSON back into the form', async () => {
    const { user } = await setUp();
    await user.click(screen.getByRole('radio', { name: 'JSON' }));
    await write(user, '{"instances": [{"length": 1e400, "count": 9}]}');
    await user.click(screen.getByRole('radio', { name: 'Form' }));
    expect(screen.getByLabelText('length')).toHaveValue('1e400');
    expect(screen.getByLabelText('count')).toHaveValue('9');
    await user.click(screen.getByRole('radio', { name: 'JSON' }));
    expect(screen.getByLabelText('Request body')).toHaveValue(
      '{"instances": [{"length": 1e400, "count": 9}]}'
    );
  });

  it('keeps the JSON that is no row of the form, and says so', async () => {
    const { user } = await setUp();
    const typed = '{"instances": [{"length": 1}, {"length": 2}]';
    await user.click(screen.getByRole('radio', { name: 'JSON' }));
    await write(user, typed);
    await user.click(screen.getByRole('radio', { name: 'Form' }));
    expect(screen.getByLabelText('length')).toHaveValue('1.5');
    expect(screen.getByText(/not one row of these fields/)).toBeVisible();
    await user.click(screen.getByRole('radio', { name: 'JSON' }));
    expect(screen.getByLabelText('Request body')).toHaveValue(typed);

    await user.click(screen.getByRole('radio', { name: 'Form' }));
    await user.type(screen.getByLabelText('count'), '0');
    expect(screen.queryByText(/not one row of these fields/)).toBeNull();
    await user.click(screen.getByRole('radio', { name: 'JSON' }));
    expect(screen.getByLabelText('Request body')).toHaveValue(
      '{"instances": [{"length": 1.5, "count": 20}]}'
    );
  });

  it('shows no answer of before beside what is wrong now', async () => {
    const { user } = await setUp();
    await user.click(send());
    await waitFor(() => expect(answer()).toHaveTextContent('3.21 ms'));
    await user.type(screen.getByLabelText('count'), '.5');
    await user.click(send());
    expect(answer()).not.toHaveTextContent('3.21 ms');
  });

  it('shows what was sent and failed, and leads to the logs', async () => {
    const { server, user, onLogs } = await setUp();
    const request = '{"instances": [{"length": 1.5, "count": 2}]}';
    const failed = { reason: 'Prediction', message: 'It failed.', hint: '' };
    server.fail(PREDICT, 502, { ...failed, request });
    await user.click(send());
    await waitFor(() => expect(answer()).toHaveTextContent('It failed.'));
    await user.click(
      within(answer()).getByRole('button', { name: 'What was sent' })
    );
    expect(answer()).toHaveTextContent(request);
    await user.click(
      within(answer()).getByRole('button', { name: 'Show logs' })
    );
    expect(onLogs).toHaveBeenCalledTimes(1);
  });

  it('goes on when the transformer is taken away', async () => {
    const components = ['transformer', 'predictor'] as const;
    const { server, kale } = await setUp({
      service: {
        components: [...components],
        transformer: { id: 5, name: 'names', version: '1' }
      }
    });
    expect(screen.getByLabelText('Send to')).toBeVisible();
    server.on('GET services', { items: [makeService('iris')] });
    await act(() => kale.services.refresh());
    await act(settled);
    expect(screen.queryByLabelText('Send to')).toBeNull();
    expect(screen.getByLabelText('length')).toHaveValue('1.5');
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
    expect(screen.getByLabelText('Row')).toHaveValue('[[1, 2], [3, 4]]');
    await user.click(send());
    await act(settled);
    expect(server.of(PREDICT)[0].body).toMatchObject({
      rows: '[[[1, 2], [3, 4]]]'
    });
  });

  it('sends what is typed byte for byte, and shows what came as it came', async () => {
    const { server, user } = await setUp({ signature: null });
    const typed =
      '{"instances": [[12345678901234567890, 1e400, 1.0]], "b": 1,\n "a": 2, "a": 3}';
    server.on(
      PREDICT,
      makePrediction({
        answer: '{"predictions": [12345678901234567890]}',
        request: typed
      })
    );
    await user.clear(screen.getByLabelText('Request body'));
    await user.click(screen.getByLabelText('Request body'));
    await user.paste(typed);
    await user.click(send());
    await waitFor(() =>
      expect(answer()).toHaveTextContent(
        '{"predictions": [12345678901234567890]}'
      )
    );
    expect(server.of(PREDICT)[0].body).toEqual({ raw: typed, component: '' });
    expect(within(answer()).getByText('12345678901234567890')).toBeVisible();
    await user.click(screen.getByRole('button', { name: 'What was sent' }));
    const sent = [...answer().querySelectorAll('pre')].at(-1);
    expect(sent?.textContent).toBe(typed);
  });

  it('keeps a row that is typed as it is', async () => {
    const images = makeSignature({ input_size: ['batch_size', 1, 2] });
    const { server, user } = await setUp({ signature: images });
    await user.clear(screen.getByLabelText('Row'));
    await user.click(screen.getByLabelText('Row'));
    await user.paste('[[1.0,\n 9007199254740993]]');
    await user.click(send());
    await act(settled);
    expect(server.of(PREDICT)[0].body).toMatchObject({
      rows: '[[[1.0,\n 9007199254740993]]]'
    });
    await user.click(screen.getByRole('radio', { name: 'JSON' }));
    expect(screen.getByLabelText('Request body')).toHaveValue(
      '{"instances": [[[1.0, 9007199254740993]]]}'
    );
  });

  it('offers categories, and ways to say that something is missing', async () => {
    const { server, user } = await setUp({
      signature: makeSignature({
        columns: [
          { name: 'size', dtype: 'category', categories: ['S', 'M'] },
          { name: 'member', dtype: 'boolean', missing: 'na' },
          { name: 'city', dtype: 'str', missing: 'nan' },
          { name: 'born', dtype: 'datetime64[ns]' }
        ],
        sample: { size: 'S', member: true, city: 'Ulm', born: '2026-05-31' }
      })
    });
    await user.selectOptions(screen.getByLabelText('size'), 'M');
    await user.selectOptions(screen.getByLabelText('member'), 'missing');
    await user.clear(screen.getByLabelText('born'));
    expect(screen.getByLabelText('born')).toHaveAttribute(
      'placeholder',
      'such as 2026-05-31T14:30:00'
    );
    await user.click(screen.getByRole('checkbox', { name: 'city is missing' }));
    expect(screen.getByLabelText('city')).toBeDisabled();
    await user.click(send());
    await act(settled);
    await user.click(screen.getByRole('checkbox', { name: 'city is missing' }));
    await user.click(send());
    await act(settled);
    expect(server.of(PREDICT).map(request => request.body)).toEqual([
      {
        rows: '[{"size": "M", "member": null, "city": null, "born": null}]',
        component: ''
      },
      {
        rows: '[{"size": "M", "member": null, "city": "", "born": null}]',
        component: ''
      }
    ]);
  });

  it('puts a file’s bytes at the cursor as base64', async () => {
    const { user } = await setUp({ signature: null });
    const body = screen.getByLabelText<HTMLTextAreaElement>('Request body');
    await user.clear(body);
    await user.click(body);
    await user.paste('{"instances": []}');
    body.setSelectionRange(15, 15);
    expect(
      screen.getByRole('button', { name: 'File as base64…' })
    ).toBeEnabled();
    const image = new File(
      [new Uint8Array([137, 80, 78, 71, 0, 255])],
      'a.png'
    );
    await user.upload(screen.getByLabelText('File to insert'), image);
    await waitFor(() =>
      expect(body).toHaveValue('{"instances": [{"b64":"iVBORwD/"}]}')
    );
    expect(body).toHaveFocus();
    expect(body.selectionStart).toBe(33);
  });

  it('refuses a file that is too large, and says so', async () => {
    const { user } = await setUp({ signature: null });
    const body = screen.getByLabelText<HTMLTextAreaElement>('Request body');
    const before = body.value;
    const image = new File([new Uint8Array(MOST_BYTES + 1)], 'big.png');
    await user.upload(screen.getByLabelText('File to insert'), image);
    expect(body).toHaveAccessibleDescription(/big.png is larger than 4 MB/);
    expect(body).toHaveValue(before);
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

  it('is made for what answers while something else is to come', async () => {
    const { server, user } = await setUp({
      service: {
        components: ['predictor', 'transformer'],
        model: { id: 5, name: 'iris', version: '2' },
        transformer: { id: 5, name: 'names', version: '1' },
        protocol: 'v1',
        answering: {
          revision: 1,
          model: { id: 1, name: 'iris', version: '1' },
          transformer: null,
          protocol: 'v2',
          components: ['predictor'],
          task: ''
        }
      }
    });
    expect(server.of('GET models/5')).toHaveLength(0);
    expect(screen.queryByLabelText('Send to')).not.toBeInTheDocument();
    expect(screen.getByLabelText('count')).toHaveValue('2');
    await user.click(screen.getByRole('radio', { name: 'JSON' }));
    expect(
      screen.getByLabelText<HTMLTextAreaElement>('Request body').value
    ).toContain('"inputs": [');
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
    render(<PredictView kale={kale} target={makeRef()} onLogs={jest.fn()} />);
    expect(await screen.findByText('The service iris is gone.')).toBeVisible();
  });
});

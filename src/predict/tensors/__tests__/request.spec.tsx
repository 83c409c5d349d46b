import {
  act,
  fireEvent,
  render,
  screen,
  waitFor
} from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import * as React from 'react';
import {
  FakeServer,
  makeArtifact,
  makeDetail,
  makeKale,
  makePrediction,
  makeRef,
  makeService,
  makeSignature,
  settled
} from '../../../__tests__/fixtures';
import type { Described, Service, Signature } from '../../../api/types';
import PredictView from '../../view';

const PATH = 'services/local/localhost/default/iris/predict';
const SENT = `POST ${PATH}`;
const TAKES: Described = {
  inputs: [
    { name: 'matrix', dtype: 'float32', shape: [-1, 2] },
    { name: 'image', dtype: 'uint8', shape: [-1, 2, 20, 3] },
    { name: 'label', dtype: 'str', shape: [-1] }
  ],
  outputs: [{ name: 'scores', dtype: 'float32', shape: [-1, 200] }]
};
const recorded = makeSignature({
  ...TAKES,
  input_size: [],
  input_dtype: '',
  sample: {
    matrix: [[1.5, 2]],
    image: [Array(2).fill(Array(20).fill([0, 0, 0]))],
    label: ['a']
  }
});

async function setUp(
  options: {
    signature?: Signature | null;
    service?: Partial<Service>;
    answer?: object;
  } = {}
) {
  const { signature = recorded, answer = { predictions: [1] } } = options;
  const server = new FakeServer()
    .on('GET services', { items: [makeService('iris', options.service)] })
    .on(`GET ${PATH}`, TAKES)
    .on('GET models/1', makeDetail({ artifact: makeArtifact({ signature }) }))
    .on(SENT, makePrediction({ answer: JSON.stringify(answer) }));
  const kale = makeKale(server);
  kale.services.start();
  render(<PredictView kale={kale} target={makeRef()} onLogs={jest.fn()} />);
  await act(settled);
  return { server, user: userEvent.setup() };
}

const send = () => screen.getByRole('button', { name: 'Send' });
const group = (name: string) =>
  screen.getByRole('group', { name: new RegExp(`^${name}`) });

function raw(server: FakeServer): unknown {
  const { raw } = server.of(SENT)[0].body as { raw: string };
  return JSON.parse(raw);
}

/**
 * numpy.save of an array of bytes.
 */
function npyFile(shape: number[], value: number, name = 'array.npy'): File {
  const header = `{'descr': '|u1', 'fortran_order': False, 'shape': (${shape.join(', ')},), }\n`;
  const count = shape.reduce((a, b) => a * b, 1);
  const head = new TextEncoder().encode(header);
  return new File(
    [
      new Uint8Array([0x93, 78, 85, 77, 80, 89, 1, 0, head.length, 0]),
      head,
      new Uint8Array(count).fill(value)
    ],
    name
  );
}

describe('the form of tensors', () => {
  it('has a group for each input, with its type and the sample', async () => {
    const { server, user } = await setUp();
    expect(group('matrix')).toHaveAccessibleName('matrix float32 [?, 2]');
    expect(group('label')).toHaveAccessibleName('label texts [?]');
    expect(screen.getByLabelText('matrix 1')).toHaveValue('1.5');
    expect(screen.getByLabelText('image as JSON')).toBeVisible();
    await user.clear(screen.getByLabelText('matrix 2'));
    await user.type(screen.getByLabelText('matrix 2'), '7');
    await user.click(send());
    await act(settled);
    expect(raw(server)).toEqual({
      instances: [
        {
          matrix: [1.5, 7],
          image: Array(2).fill(Array(20).fill([0, 0, 0])),
          label: 'a'
        }
      ]
    });
    // What is recorded is not asked for.
    expect(server.of(`GET ${PATH}`)).toHaveLength(0);
  });

  it('is made of what the server says where nothing is recorded', async () => {
    const { server } = await setUp({
      signature: null,
      service: { protocol: 'v2' }
    });
    expect(group('matrix')).toBeVisible();
    expect(screen.getByLabelText('matrix 1')).toHaveValue('0');
    expect(server.of(`GET ${PATH}`)).toHaveLength(1);
  });

  it('is that of a table where rows are recorded', async () => {
    const { server } = await setUp({ signature: makeSignature() });
    expect(screen.getByLabelText('Feature 1')).toBeVisible();
    expect(server.of(`GET ${PATH}`)).toHaveLength(0);
  });

  it('sends nothing while something does not fit, and says what', async () => {
    const { server, user } = await setUp();
    await user.clear(screen.getByLabelText('matrix 1'));
    const image = screen.getByLabelText('image as JSON');
    await user.clear(image);
    await user.click(image);
    await user.paste('[[1, 2]]');
    await user.click(send());
    expect(screen.getByLabelText('matrix 1')).toBeInvalid();
    expect(image).toBeInvalid();
    expect(group('image')).toHaveTextContent('The shape is [1, 2].');
    expect(group('image')).toHaveTextContent(
      'The model takes uint8 of shape [?, 2, 20, 3].'
    );
    expect(server.of(SENT)).toHaveLength(0);
  });

  it('takes an array from a file that is picked', async () => {
    const { server, user } = await setUp({ service: { protocol: 'v2' } });
    await user.upload(
      screen.getByLabelText('File for image'),
      npyFile([2, 2, 20, 3], 9)
    );
    await waitFor(() =>
      expect(group('image')).toHaveTextContent('array.npy [2, 2, 20, 3]')
    );
    await user.click(send());
    await act(settled);
    const { inputs } = raw(server) as {
      inputs: { shape: number[]; data: unknown[] }[];
    };
    expect(inputs[1].shape).toEqual([2, 2, 20, 3]);
    expect(inputs[1].data).toEqual(Array(240).fill(9));
    await user.click(
      screen.getByRole('button', { name: 'Remove the file for image' })
    );
    expect(screen.getByLabelText('image as JSON')).toHaveValue('');
  });

  it('takes one that is dropped, into the fields where they hold it', async () => {
    await setUp();
    fireEvent.drop(group('matrix'), {
      dataTransfer: {
        types: ['Files'],
        files: [new File(['a,b\n3,4.5\n'], 'row.csv', { type: 'text/csv' })]
      }
    });
    await waitFor(() =>
      expect(screen.getByLabelText('matrix 2')).toHaveValue('4.5')
    );
  });

  it('says why a file is not taken', async () => {
    const { user } = await setUp();
    await user.upload(
      screen.getByLabelText('File for image'),
      new File(['PK'], 'zip.npy')
    );
    await waitFor(() =>
      expect(screen.getByRole('alert')).toHaveTextContent(
        'zip.npy is not a NumPy (.npy) file.'
      )
    );
  });

  it('takes what was filled in along to the JSON, and back', async () => {
    const { user } = await setUp({ service: { protocol: 'v2' } });
    await user.click(screen.getByRole('radio', { name: 'JSON' }));
    const body = screen.getByLabelText('Request body');
    const request = JSON.parse((body as HTMLTextAreaElement).value) as {
      inputs: { name: string; data: unknown[] }[];
    };
    expect(request.inputs.map(({ name }) => name)).toEqual([
      'matrix',
      'image',
      'label'
    ]);
    request.inputs[0].data = [8, 9];
    await user.clear(body);
    await user.click(body);
    await user.paste(JSON.stringify(request));
    await user.click(screen.getByRole('radio', { name: 'Form' }));
    expect(screen.getByLabelText('matrix 1')).toHaveValue('8');
    await user.click(screen.getByRole('radio', { name: 'JSON' }));
    await user.clear(screen.getByLabelText('Request body'));
    await user.click(screen.getByRole('radio', { name: 'Form' }));
    expect(
      screen.getByText('The JSON cannot be shown in the form.')
    ).toBeVisible();
    expect(screen.getByLabelText('matrix 1')).toHaveValue('8');
  });

  it('shows outputs by name, and of a large one its beginning', async () => {
    const { user } = await setUp({
      answer: {
        predictions: [{ scores: Array(200).fill(0.5), word: 'yes' }]
      }
    });
    await user.click(send());
    const answer = screen.getByRole('region', { name: 'Answer' });
    await waitFor(() =>
      expect(answer).toHaveTextContent('scores float32 [1, 200]')
    );
    expect(answer).toHaveTextContent('… 100 more');
    expect(screen.getByLabelText('word')).toHaveTextContent('["yes"]');
    const saved: Blob[] = [];
    Object.assign(URL, {
      createObjectURL: (blob: Blob) => {
        saved.push(blob);
        return 'blob:answer';
      },
      revokeObjectURL: () => undefined
    });
    const click = jest
      .spyOn(HTMLAnchorElement.prototype, 'click')
      .mockImplementation(() => undefined);
    await user.click(screen.getByRole('button', { name: 'Download as JSON' }));
    expect(click).toHaveBeenCalled();
    expect(saved).toHaveLength(1);
    click.mockRestore();
  });

  it('warns of float16, which v2 cannot represent in JSON', async () => {
    await setUp({
      signature: makeSignature({
        inputs: [{ name: 'x', dtype: 'float16', shape: [-1] }]
      }),
      service: { protocol: 'v2' }
    });
    expect(screen.getByText(/cannot represent float16/)).toBeVisible();
  });
});

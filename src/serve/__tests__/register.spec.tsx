import { render, screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import * as React from 'react';
import { FakeServer, makeArtifact, makeDetail } from '../../__tests__/fixtures';
import type { Artifact } from '../../api/types';
import { RegisterView, stem } from '../register';

const kernels = [
  { name: 'other', display_name: 'Other', python: '/opt/other/bin/python' },
  { name: 'python3', display_name: 'Python 3', python: '/usr/bin/python3' }
];

function setUp(server: FakeServer) {
  const registered: Artifact[] = [];
  render(
    <RegisterView
      client={server.client}
      path="models/iris.joblib"
      onRegistered={artifact => registered.push(artifact)}
      onCancel={() => undefined}
    />
  );
  return { registered, user: userEvent.setup() };
}

describe('RegisterView', () => {
  it('names the model after the file, and asks for the kernel', async () => {
    const artifact = makeArtifact({ id: 8 });
    const server = new FakeServer()
      .on('GET kernels', { items: kernels })
      .on('POST models', () => ({
        status: 201,
        json: makeDetail({ artifact })
      }));
    const { registered, user } = setUp(server);
    expect(screen.getByLabelText('Name')).toHaveValue('iris');
    await waitFor(() =>
      expect(screen.getByLabelText('Kernel')).toHaveDisplayValue('Python 3')
    );
    await user.selectOptions(screen.getByLabelText('Kernel'), 'Other');
    await user.click(screen.getByRole('button', { name: 'Register' }));
    await waitFor(() => expect(registered).toEqual([artifact]));
    expect(server.of('POST models')[0].body).toEqual({
      path: 'models/iris.joblib',
      name: 'iris',
      version: '',
      kernel: 'other'
    });
  });

  it('says that the model is being opened, and shows what came of it', async () => {
    let answer = (): void => undefined;
    const opened = new Promise<void>(resolve => {
      answer = resolve;
    });
    const server = new FakeServer()
      .on('GET kernels', { items: kernels })
      .on('POST models', async () => {
        await opened;
        return {
          status: 400,
          json: {
            message: 'iris.joblib cannot be opened.',
            reason: 'InvalidInput',
            hint: 'Save the model again.',
            field: 'path'
          }
        };
      });
    const { user } = setUp(server);
    expect(screen.queryByRole('status')).toBeNull();
    await user.click(screen.getByRole('button', { name: 'Register' }));
    expect(await screen.findByRole('status')).toHaveTextContent(
      'Opening the model…'
    );
    expect(screen.getByRole('progressbar')).toBeInTheDocument();
    answer();
    const alert = await screen.findByRole('alert');
    expect(alert).toHaveTextContent('iris.joblib cannot be opened.');
    expect(alert).toHaveTextContent('Save the model again.');
    expect(screen.queryByRole('status')).toBeNull();
  });

  it('shows at its field what the server does not take', async () => {
    const server = new FakeServer()
      .on('GET kernels', { items: kernels })
      .fail('POST models', 409, {
        message: 'Other content.',
        field: 'version'
      });
    const { registered, user } = setUp(server);
    await user.type(screen.getByLabelText('Version'), '1.0.0');
    await user.click(screen.getByRole('button', { name: 'Register' }));
    await waitFor(() =>
      expect(screen.getByLabelText('Version')).toHaveAccessibleDescription(
        /Other content\./
      )
    );
    expect(registered).toHaveLength(0);
    expect(screen.getByRole('button', { name: 'Register' })).toBeEnabled();
  });
});

describe('stem', () => {
  it.each([
    ['a/b/iris.joblib', 'iris'],
    ['model.v1.pkl', 'model.v1'],
    ['folder', 'folder'],
    ['.hidden', '.hidden']
  ])('of %s is %s', (path, name) => {
    expect(stem(path)).toBe(name);
  });
});

import * as React from 'react';
import type { KaleServeClient } from '../api/client';
import { ApiError } from '../api/errors';
import type { Artifact, Kernel } from '../api/types';
import { Field } from '../components/field';
import type { IFieldNote } from '../components/field';
import { ErrorNote } from '../components/note';
import { useTrans } from '../components/trans';

/**
 * The step before serving a file: its name as a model, and the kernel that can load it.
 */
export function RegisterView(props: {
  client: KaleServeClient;
  path: string;
  onRegistered: (artifact: Artifact) => void;
  onCancel: () => void;
}): JSX.Element {
  const trans = useTrans();
  const { client, path } = props;
  const [name, setName] = React.useState(stem(path));
  const [version, setVersion] = React.useState('');
  const [kernel, setKernel] = React.useState('');
  const [kernels, setKernels] = React.useState<Kernel[]>([]);
  const [isBusy, setBusy] = React.useState(false);
  const [error, setError] = React.useState<ApiError | null>(null);

  React.useEffect(() => {
    let isCurrent = true;
    client.kernels().then(
      found => {
        if (isCurrent) {
          setKernels(found);
          setKernel(before => before || preferred(found));
        }
      },
      (reason: unknown) => {
        if (isCurrent) {
          setError(ApiError.from(reason, trans));
        }
      }
    );
    return () => {
      isCurrent = false;
    };
  }, [client, trans]);

  const register = async () => {
    setBusy(true);
    setError(null);
    try {
      const body = { path, name: name.trim(), version: version.trim(), kernel };
      props.onRegistered((await client.register(body)).artifact);
    } catch (reason) {
      setError(ApiError.from(reason, trans));
      setBusy(false);
    }
  };

  const own = (field: string): IFieldNote[] =>
    error && error.field === field
      ? [{ level: 'error', message: error.message, hint: error.hint }]
      : [];

  return (
    <form
      className="jp-KaleDialog-form jp-mod-narrow"
      onSubmit={event => {
        event.preventDefault();
        void register();
      }}
    >
      <p className="jp-KaleDialog-subject">
        {trans.__('First, %1 becomes a model with a version.', path)}
      </p>
      <Field label={trans.__('Name')} notes={own('name')}>
        {control => (
          <input
            {...control}
            className="jp-mod-styled"
            type="text"
            value={name}
            required
            maxLength={253}
            autoComplete="off"
            spellCheck={false}
            autoFocus
            onChange={event => setName(event.target.value)}
          />
        )}
      </Field>
      <Field
        label={trans.__('Version')}
        notes={own('version')}
        help={trans.__('Leave empty for the next number.')}
      >
        {control => (
          <input
            {...control}
            className="jp-mod-styled"
            type="text"
            value={version}
            maxLength={253}
            autoComplete="off"
            spellCheck={false}
            onChange={event => setVersion(event.target.value)}
          />
        )}
      </Field>
      <Field
        label={trans.__('Kernel')}
        notes={own('kernel')}
        help={
          kernels.find(item => item.name === kernel)?.python ??
          trans.__('The kernel whose Python has the model’s libraries.')
        }
      >
        {control => (
          <select
            {...control}
            className="jp-mod-styled"
            value={kernel}
            onChange={event => setKernel(event.target.value)}
          >
            {kernels.map(item => (
              <option key={item.name} value={item.name}>
                {item.display_name}
              </option>
            ))}
          </select>
        )}
      </Field>
      {error && !['name', 'version', 'kernel'].includes(error.field) && (
        <ErrorNote error={error} />
      )}
      {isBusy && (
        <div role="status">
          <label className="jp-KaleDialog-upload">
            {trans.__('Opening the model…')}
            <progress />
          </label>
        </div>
      )}
      <footer className="jp-KaleDialog-footer">
        <button
          type="button"
          className="jp-mod-styled jp-mod-reject"
          onClick={props.onCancel}
        >
          {trans.__('Cancel')}
        </button>
        <button
          type="submit"
          className="jp-mod-styled jp-mod-accept"
          disabled={isBusy || !name.trim()}
        >
          {isBusy ? trans.__('Registering…') : trans.__('Register')}
        </button>
      </footer>
    </form>
  );
}

/**
 * The file's name without folders and ending.
 */
export function stem(path: string): string {
  const name = path.split('/').pop() ?? '';
  return name.replace(/(?!^)\.[^.]*$/, '') || name;
}

function preferred(kernels: Kernel[]): string {
  const usual = kernels.find(kernel => kernel.name === 'python3');
  return (usual ?? kernels[0])?.name ?? '';
}

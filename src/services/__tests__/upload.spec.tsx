import { render, screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import * as React from 'react';
import {
  FakeServer,
  makeKale,
  makeService,
  trans
} from '../../__tests__/fixtures';
import type { Service } from '../../api/types';
import { TransContext } from '../../components/trans';
import { UploadStatus } from '../upload';

function show(service: Service) {
  const server = new FakeServer();
  server.on('DELETE services/', () => ({ status: 204 }));
  const { services } = makeKale(server);
  render(
    <TransContext.Provider value={trans}>
      <UploadStatus service={service} model={services} isBusy={false} />
    </TransContext.Provider>
  );
  return server;
}

const upload = { artifact: 'iris', done: 1.2e8, total: 3e8, error: '' };

describe('UploadStatus', () => {
  it('shows how far it is, and cancels', async () => {
    const server = show(makeService('iris', { revision: 0, upload }));
    const bar = screen.getByRole('progressbar', {
      name: 'Uploading iris: 120 of 300 MB'
    });
    expect(bar).toHaveValue(1.2e8);
    await userEvent.click(
      screen.getByRole('button', { name: 'Cancel the upload of iris' })
    );
    expect(server.of('DELETE')[0].path).toMatch(/\/iris\/upload$/);
  });

  it('says why an update failed until it is dismissed', async () => {
    const failed = { ...upload, error: 'The claim is full.' };
    const server = show(makeService('iris', { upload: failed }));
    expect(screen.queryByRole('progressbar')).toBeNull();
    expect(
      screen.getByText(/Update failed: The claim is full\./)
    ).toBeVisible();
    await userEvent.click(
      screen.getByRole('button', { name: 'Dismiss the failed upload of iris' })
    );
    expect(server.of('DELETE')).toHaveLength(1);
  });

  it('is nothing where nothing is uploaded', () => {
    show(makeService());
    expect(screen.queryByRole('button')).toBeNull();
  });
});

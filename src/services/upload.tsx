import * as React from 'react';
import type { Service } from '../api/types';
import { ActionButton } from '../components/button';
import { Note } from '../components/note';
import { useTrans } from '../components/trans';
import { isToCome } from './abilities';
import type { ServicesModel } from './model';

/**
 * How far the files are that the service, or its next version, waits for; and what kept them from coming.
 */
export function UploadStatus(props: {
  service: Service;
  model: ServicesModel;
  isBusy: boolean;
}): JSX.Element | null {
  const trans = useTrans();
  const { service, model, isBusy } = props;
  const { ref, upload } = service;
  if (!upload) {
    return null;
  }
  const { artifact, done, total, error } = upload;
  return (
    <div className="jp-KaleUpload">
      {!error ? (
        <label>
          {total < 1e6
            ? trans.__('Uploading %1', artifact)
            : trans.__(
                'Uploading %1: %2 of %3 MB',
                artifact,
                Math.round(done / 1e6),
                Math.round(total / 1e6)
              )}
          <progress value={done} max={Math.max(total, 1)} />
        </label>
      ) : (
        // What is only to come has failed, and its reason stands above.
        !isToCome(service) && (
          <Note level="error" message={trans.__('Update failed: %1', error)} />
        )
      )}
      <div className="jp-KaleRow-actions">
        <ActionButton
          label={error ? trans.__('Dismiss') : trans.__('Cancel')}
          name={
            error
              ? trans.__('Dismiss the failed upload of %1', ref.name)
              : trans.__('Cancel the upload of %1', ref.name)
          }
          isRoving
          glyph="cross"
          disabled={isBusy}
          title={
            error
              ? trans.__('Forget what failed')
              : trans.__('Cancel the upload and remove what it has made')
          }
          onClick={() => void model.cancelUpload(ref)}
        />
      </div>
    </div>
  );
}

import { render, screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import * as React from 'react';
import {
  makeActions,
  makeArtifact,
  makeDetail,
  makeSignature
} from '../../__tests__/fixtures';
import type { Artifact } from '../../api/types';
import { ModelDetails } from '../details';

const show = (change: Partial<Artifact>) =>
  render(
    <ModelDetails
      detail={makeDetail({ artifact: makeArtifact(change) })}
      services={[]}
      actions={makeActions()}
    />
  );

const factOf = (name: string) =>
  screen.getByText(name, { selector: 'dt' }).nextElementSibling;

describe('ModelDetails', () => {
  it('tells what was recorded of the model', () => {
    show({
      details: {
        estimator: 'LogisticRegression',
        methods: ['predict', 'predict_proba', 'kneighbors'],
        own_code: ['tools', 'tools.text'],
        recorded_rows: 20
      }
    });
    expect(factOf('Estimator')).toHaveTextContent('LogisticRegression');
    expect(factOf('Answers')).toHaveTextContent(
      'Classes (predict), Probabilities (predict_proba), kneighbors'
    );
    expect(factOf('Recorded rows')).toHaveTextContent('20');
    expect(factOf('Own code')).toHaveTextContent('tools, tools.text');
  });

  it('lists the columns with their types and categories', async () => {
    const categories = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'];
    show({
      signature: makeSignature({
        columns: [
          { name: 'length' },
          { name: 'kind', dtype: 'category', categories }
        ]
      })
    });
    await userEvent.click(screen.getByRole('button', { name: 'Columns' }));
    const rows = within(screen.getByRole('table')).getAllByRole('row');
    expect(rows.map(row => row.textContent)).toEqual([
      'ColumnType',
      'lengthfloat64',
      'kindcategory: a, b, c, d, e, f, g, h and 1 more'
    ]);
  });

  it('lists the tensors that it takes by name', () => {
    show({
      signature: makeSignature({
        inputs: [
          { name: 'image', dtype: 'uint8', shape: [-1, 28, 28] },
          { name: 'label', dtype: 'str', shape: ['batch'] }
        ]
      })
    });
    expect(factOf('Input')).toHaveTextContent(
      'image (uint8 [?, 28, 28]), label (str [batch])'
    );
  });

  it('says nothing of what is not recorded', () => {
    show({});
    for (const name of ['Estimator', 'Answers', 'Recorded rows', 'Own code']) {
      expect(screen.queryByText(name)).toBeNull();
    }
    expect(screen.queryByRole('button', { name: 'Columns' })).toBeNull();
  });
});

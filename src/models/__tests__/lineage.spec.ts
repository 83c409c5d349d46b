import { makeArtifact, makeRef, trans } from '../../__tests__/fixtures';
import { refKey, type LineageStep } from '../../api/types';
import { lineageOf } from '../lineage';

function step(change: Partial<LineageStep>): LineageStep {
  return {
    execution_id: 1,
    type: 'kale.Log',
    name: '',
    context: '',
    state: 'COMPLETE',
    started: 0,
    inputs: [],
    outputs: [],
    service: null,
    ...change
  };
}

const artifact = makeArtifact();
const deployed = { type: 'kale.Deployment', service: makeRef() };

describe('lineageOf', () => {
  it('tells where a model was made, and of what', () => {
    const lineage = {
      artifact,
      produced_by: [step({ context: 'train.ipynb', inputs: [7, 8] })],
      consumed_by: [],
      related: { '7': makeArtifact({ name: 'flowers', version: '3' }) }
    };
    expect(lineageOf(lineage, new Set(), trans)).toEqual([
      'Logged in train.ipynb',
      'From flowers 3'
    ]);
  });

  it('tells of makers that are not ours', () => {
    const produced_by = [step({ type: 'system.ContainerExecution' })];
    const lineage = { artifact, produced_by, consumed_by: [], related: {} };
    expect(lineageOf(lineage, new Set(), trans)).toEqual([
      'Made by system.ContainerExecution'
    ]);
  });

  it('tells where it was served, but not what is seen running', () => {
    const consumed_by = [
      step({ ...deployed, state: 'COMPLETE' }),
      step({ ...deployed, state: 'RUNNING' })
    ];
    const lineage = { artifact, produced_by: [], consumed_by, related: {} };
    expect(lineageOf(lineage, new Set(), trans)).toEqual([
      'Was served as iris',
      'Served as iris'
    ]);
    const running = new Set([refKey(makeRef())]);
    expect(lineageOf(lineage, running, trans)).toEqual(['Was served as iris']);
  });
});

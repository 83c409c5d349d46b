import { StateDB } from '@jupyterlab/statedb';
import { settled } from '../../__tests__/fixtures';
import { PanelState } from '../state';

async function saved(): Promise<void> {
  await new Promise(done => setTimeout(done, 20));
  await settled();
}

describe('PanelState', () => {
  it('is there again after a reload', async () => {
    const db = new StateDB();
    const before = new PanelState({ db, delay: 0 });
    before.query = 'iris';
    before.toggle('service:a');
    before.toggle('service:b');
    before.toggle('service:b');
    await saved();
    const after = new PanelState({ db });
    await after.restore();
    expect(after.query).toBe('iris');
    expect(after.isOpen('service:a')).toBe(true);
    expect(after.isOpen('service:b')).toBe(false);
  });

  it('does not undo what was done while it was being read', async () => {
    const db = new StateDB();
    await db.save('kale-serve-ext:panel', { query: 'old', open: [] });
    const state = new PanelState({ db, delay: 0 });
    const restoring = state.restore();
    state.query = 'new';
    await restoring;
    expect(state.query).toBe('new');
  });

  it('marks a row for a moment from when it is drawn', () => {
    jest.useFakeTimers();
    try {
      const state = new PanelState();
      state.mark('service:a', 'services');
      // Its list may be long in coming.
      jest.advanceTimersByTime(60_000);
      expect(state.marked).toBe('service:a');
      state.drawn('service:b');
      state.drawn('service:a');
      jest.advanceTimersByTime(2000);
      state.mark('service:a', 'services');
      jest.advanceTimersByTime(2000);
      expect(state.marked).toBe('service:a');
      jest.advanceTimersByTime(1000);
      expect(state.marked).toBeNull();
      state.dispose();
    } finally {
      jest.useRealTimers();
    }
  });

  it('starts afresh where what was saved makes no sense', async () => {
    const db = new StateDB();
    await db.save('kale-serve-ext:panel', { query: 7, open: 'x' });
    const state = new PanelState({ db });
    await state.restore();
    expect(state.query).toBe('');
  });
});

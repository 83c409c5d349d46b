import { refOf } from '../args';
import plugins from '../index';
import { readSettings } from '../settings';
import schema from '../../schema/plugin.json';
import { refKey } from '../api/types';
import { makeRef } from './fixtures';

describe('the plugins', () => {
  it('are several, with ids of ours', () => {
    const ids = plugins.map(plugin => plugin.id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.every(id => id.startsWith('kale-serve-ext:'))).toBe(true);
    expect(ids).toContain('kale-serve-ext:plugin');
  });
});

describe('the settings', () => {
  const before = { pollInterval: 5, pageSize: 6, logLines: 7, notify: false };

  it('are those of the schema', () => {
    const defaults = Object.fromEntries(
      Object.entries(schema.properties).map(([key, { default: value }]) => [
        key,
        value
      ])
    );
    expect(readSettings(defaults, before)).toEqual(defaults);
    expect(Object.keys(defaults).sort()).toEqual(Object.keys(before).sort());
  });

  it('stay as they were where a value makes no sense', () => {
    expect(readSettings({ pollInterval: 'x', pageSize: -1 }, before)).toEqual(
      before
    );
  });
});

describe('a service’s name', () => {
  it('is taken from arguments that are whole', () => {
    expect(refOf({ ...makeRef(), isContextMenu: true })).toEqual(makeRef());
    expect(refOf({ name: 'iris' })).toBeNull();
  });

  it('is a key that no other has', () => {
    const a = { ...makeRef(), context: 'a/b', namespace: 'c' };
    const b = { ...makeRef(), context: 'a', namespace: 'b/c' };
    expect(refKey(a)).not.toBe(refKey(b));
  });
});

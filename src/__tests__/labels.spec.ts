import { labelled } from '../labels';

const items = [
  { id: 1, name: 'iris', place: 'a' },
  { id: 2, name: 'iris', place: 'b' },
  { id: 3, name: 'wine', place: 'a' },
  { id: 4, name: 'wine', place: 'a' },
  { id: 5, name: 'only', place: 'a' },
  { id: 6, name: 'iris (a)', place: 'a' }
];

describe('labels', () => {
  it('are names, with as much more as tells equal ones apart', () => {
    const found = labelled(items, item => item.name, [
      item => item.place,
      item => String(item.id)
    ]);
    expect([...found].map(([label, { id }]) => [label, id])).toEqual([
      ['iris (a)', 1],
      ['iris (b)', 2],
      ['wine (3)', 3],
      ['wine (4)', 4],
      ['only', 5],
      ['iris (a) (6)', 6]
    ]);
  });
});

/**
 * For payloads that need time: they are evaluated side by side, but go on in the order their messages came. Gives
 * the function that each payload of one node is passed through.
 */
export function inTurn(): <T>(payload: Promise<T>) => Promise<T> {
  let turn: Promise<unknown> = Promise.resolve();
  return async (payload) => {
    const before = turn;
    turn = Promise.allSettled([before, payload]);
    await before;
    return payload;
  };
}

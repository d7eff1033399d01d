using StackExchange.Redis;

namespace Sluice.Storage.Redis;

/// <summary>
/// Sends values that several items of one call share only once: most items share them, and each argument costs time on
/// the single thread of Redis.
/// </summary>
/// <param name="args">Returns the arguments of a kind.</param>
internal sealed class ArgumentInterner<T>(Func<T, RedisValue[]> args) where T : notnull
{
    private readonly Dictionary<T, int> numbers = [];

    public int Count => numbers.Count;

    public IEnumerable<RedisValue> Args => numbers.Keys.SelectMany(args);

    /// <summary>Returns the number of a kind in the call, from 1, and adds the kind if it is new.</summary>
    public int NumberOf(T kind) =>
        numbers.TryGetValue(kind, out var number) ? number : numbers[kind] = numbers.Count + 1;
}

using StackExchange.Redis;

namespace Sluice.Core.Redis;

/// <summary>What items of one call have in common is sent once: most share it, and each argument costs Redis' one thread.</summary>
internal sealed class CallKinds<T>(Func<T, RedisValue[]> args) where T : notnull
{
    private readonly Dictionary<T, int> numbers = [];

    public int Count => numbers.Count;

    public IEnumerable<RedisValue> Args => numbers.Keys.SelectMany(args);

    /// <summary>Its number, from 1.</summary>
    public int Of(T kind) => numbers.TryGetValue(kind, out var number) ? number : numbers[kind] = numbers.Count + 1;
}

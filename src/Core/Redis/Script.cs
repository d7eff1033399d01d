using System.Diagnostics.Metrics;
using System.Reflection;
using StackExchange.Redis;

namespace Sluice.Core.Redis;

/// <summary>One operation on Redis: an embedded <c>.lua</c> file whose header is its contract.</summary>
public sealed class Script
{
    private static readonly Counter<long> RoundTrips = CoreMeter.Meter.CreateCounter<long>("sluice.redis.round_trips",
        "{call}", "Scripts run on Redis, by name.");

    private Script(string name, string source, string text) => (Name, Source, Text) = (name, source, text);

    public string Name { get; }

    /// <summary>The file as it is.</summary>
    public string Source { get; }

    /// <summary>What Redis runs: the file, with the functions of <c>X.part.lua</c> in place of each line
    /// <c>-- include: X</c>. Redis' Lua has no modules.</summary>
    public string Text { get; }

    /// <summary>Loads <c>name.lua</c> from this assembly; an unknown name is a bug and throws.</summary>
    public static Script Load(string name) => Load(name, typeof(Script).Assembly);

    public static Script Load(string name, Assembly assembly)
    {
        const string include = "-- include: ";
        var source = Read(name, assembly);
        return new Script(name, source, string.Join('\n', source.Split('\n').Select(line =>
            line.StartsWith(include, StringComparison.Ordinal) ? Read(line[include.Length..] + ".part", assembly) : line)));
    }

    /// <summary>Runs the script by its hash. A server that does not know it (a new one, or one that was restarted) did
    /// nothing, so it is asked once more, with the text.</summary>
    public async Task<RedisResult> RunAsync(IDatabase db, RedisKey[] keys, RedisValue[] args)
    {
        RoundTrips.Add(1, KeyValuePair.Create("script", (object?)Name));
        try
        {
            return await db.ScriptEvaluateAsync(Text, keys, args);
        }
        catch (RedisServerException e) when (e.Message.StartsWith("NOSCRIPT", StringComparison.Ordinal))
        {
            return await db.ScriptEvaluateAsync(Text, keys, args);
        }
    }

    private static string Read(string name, Assembly assembly)
    {
        using var stream = assembly.GetManifestResourceStream(name + ".lua")
            ?? throw new InvalidOperationException($"no embedded script {name}.lua");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}

using System.Diagnostics.Metrics;
using System.Reflection;
using Sluice.Shared;
using StackExchange.Redis;

namespace Sluice.Storage.Redis;

/// <summary>
/// A Lua script that runs on Redis: an embedded <c>.lua</c> file whose header documents keys, arguments and result.
/// </summary>
public sealed class Script
{
    private static readonly Counter<long> RoundTrips = SluiceMeter.Meter.CreateCounter<long>(
        MetricNames.RedisRoundTrips, "{call}", "Scripts run on Redis, by script name.");

    private Script(string name, string source, string text)
    {
        Name = name;
        Source = source;
        Text = text;
    }

    public string Name { get; }

    /// <summary>The content of the file.</summary>
    public string Source { get; }

    /// <summary>
    /// The text that Redis runs: the file, in which each line <c>-- include: X</c> is replaced by the functions of
    /// <c>X.part.lua</c>. Lua in Redis has no modules.
    /// </summary>
    public string Text { get; }

    /// <summary>
    /// Loads <c>name.lua</c> from this assembly. Throws if the name is unknown, which is a programming error.
    /// </summary>
    public static Script Load(string name) => Load(name, typeof(Script).Assembly);

    public static Script Load(string name, Assembly assembly)
    {
        const string include = "-- include: ";
        var source = Read(name, assembly);
        return new Script(name, source, string.Join('\n', source.Split('\n').Select(line =>
            line.StartsWith(include, StringComparison.Ordinal)
                ? Read(line[include.Length..] + ".part", assembly)
                : line)));
    }

    /// <summary>
    /// Runs the script by its hash. If the server does not have the script (it is new or was restarted), it has
    /// executed nothing, and the client loads the script and repeats the call.
    /// </summary>
    public Task<RedisResult> RunAsync(IDatabase db, RedisKey[] keys, RedisValue[] args)
    {
        RoundTrips.Add(1, KeyValuePair.Create("script", (object?)Name));
        return db.ScriptEvaluateAsync(Text, keys, args);
    }

    private static string Read(string name, Assembly assembly)
    {
        using var stream = assembly.GetManifestResourceStream(name + ".lua")
            ?? throw new InvalidOperationException(
                $"Embedded script is '{name}.lua'; expected a resource of the assembly");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}

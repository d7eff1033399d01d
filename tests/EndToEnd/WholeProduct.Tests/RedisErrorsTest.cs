using System.Net;
using System.Text.RegularExpressions;
using Sluice.Testing;
using StackExchange.Redis;

namespace Sluice.WholeProduct.Tests;

/// <summary>
/// Each error that Redis can answer, at each command and key that a gateway uses: the gateway lives, answers each request, and serves again when the cause
/// is gone. By default a part of the commands and keys; `make faults` takes all.
/// </summary>
[Trait("Matrix", "fault")]
[Trait("Part", "leases")]
public sealed partial class RedisErrorsTest : IAsyncLifetime
{
    /// <summary>Commands and keys that are tried by default, one after another.</summary>
    private const int Some = 6;

    /// <summary>How long a fault stays where nothing shows that it was met: two passes of the loops.</summary>
    private static readonly TimeSpan TwoPasses = TimeSpan.FromSeconds(2.2);

    private readonly JobCluster cluster = new();

    private IDatabase Db => cluster.Redis.Store.Database;

    public async ValueTask InitializeAsync()
    {
        await cluster.Redis.InitializeAsync();
        // The test itself goes on as another user when the default one loses a command.
        await Db.ExecuteAsync("ACL", "SETUSER", "operator", "on", ">operator", "~*", "&*", "+@all");
        await Db.ExecuteAsync("AUTH", "operator", "operator");
    }

    public async ValueTask DisposeAsync() => await cluster.DisposeAsync();

    [Trait("Fault", "R11")]
    [Fact]
    public async Task A_command_that_the_user_may_not_run_ends_no_gateway()
    {
        await using var gateway = await StartAsync();
        List<string> used = [];
        // The first pass over the leases runs it, after the gateway is ready.
        await Eventually.HoldsAsync(
            async () => (used = await UsedCommandsAsync()).Contains("zrangebyscore"), "the first pass over the leases");
        // The first of them ended a gateway with exit code 0.
        var tried = Part(used, first: ["zrangebyscore", "evalsha", "hgetall", "subscribe", "get", "zadd"]);
        foreach (var command in tried)
        {
            await Db.ExecuteAsync("ACL", "SETUSER", "default", "-" + command);
            await MeetAsync(gateway, $"without {command}", "NOPERM", "ERR");
            await Db.ExecuteAsync("ACL", "SETUSER", "default", "+@all");
            await ServesAsync(gateway, $"after {command}");
        }

        FaultMatrix.Seen("R11", $"{tried.Count} of {used.Count} commands in use were denied, one at a time: the gateway lived and served again after each");
    }

    [Trait("Fault", "R12")]
    [Fact]
    public async Task A_key_of_another_type_ends_no_gateway()
    {
        await using var gateway = await StartAsync();
        var keys = Db.Multiplexer.GetServer(Db.Multiplexer.GetEndPoints()[0]).Keys(pattern: "sluice:*").Select(k => (string)k!).Order().ToList();
        Assert.Contains(keys, k => k.EndsWith(":running", StringComparison.Ordinal) || k.EndsWith(":meta", StringComparison.Ordinal));
        string[] first = ["sluice:{stub}:outbox", "sluice:{stub}:meta", "sluice:{stub}:free", "sluice:{stub}:pods", "sluice:{catalog}:endpoints", "sluice:{keys}:all"];
        var tried = Part(keys, first);
        foreach (var key in tried)
        {
            // A key of a webhook is there only while one is due.
            var kept = await Db.KeyDumpAsync(key);
            await ReplaceAsync(
                key, t => IsString(kept) ? t.HashSetAsync(key, "not", "this") : t.StringSetAsync(key, "not this"));
            await MeetAsync(gateway, $"with another {key}", "WRONGTYPE");
            await ReplaceAsync(key, t => kept is null ? Task.CompletedTask : t.KeyRestoreAsync(key, kept));
            await ServesAsync(gateway, $"after another {key}");
        }

        FaultMatrix.Seen("R12", $"{tried.Count} of {keys.Count} keys had another type, one at a time: the gateway lived and served again after each");
    }

    /// <summary>Replaces a key in one transaction, because the gateway can write it between two commands.</summary>
    private async Task ReplaceAsync(string key, Func<ITransaction, Task> write)
    {
        var transaction = Db.CreateTransaction();
        Task[] commands = [transaction.KeyDeleteAsync(key), write(transaction)];
        await transaction.ExecuteAsync();
        await Task.WhenAll(commands);
    }

    [Theory]
    [InlineData("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", "READONLY", "read-only replica")]
    [InlineData("CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0", "NOREPLICAS", "cluster")]
    public async Task A_Redis_that_refuses_writes_makes_the_gateway_not_ready_until_it_takes_them(string begin, string end, string error, string why)
    {
        await using var gateway = await StartAsync();
        await ExecuteAsync(begin);
        await Eventually.HoldsAsync(async () => (await ReadyAsync(gateway)).Contains(why, StringComparison.Ordinal));
        await MeetAsync(gateway, begin, error);
        // On a machine under load, a command can also time out, which is another reason.
        await Eventually.BecomesAsync(async () =>
        {
            using var refused = await new Jobs(gateway).PostAsync("run", Jobs.Body(1));
            Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
            return await refused.Content.ReadAsStringAsync();
        }, answer => answer.Contains(why, StringComparison.Ordinal));

        // A large input is written to a file before the job. The file of a rejected job is deleted. If a command timed
        // out instead, the job may be stored, and its file stays.
        await Eventually.HoldsAsync(async () =>
        {
            var before = PayloadFiles();
            using var refused = await new Jobs(gateway).PostAsync("run", Jobs.Body(new string('x', 300_000)));
            Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
            return !PayloadFiles().Except(before).Any();
        });

        await ExecuteAsync(end);
        await Eventually.HoldsAsync(async () => await ReadyAsync(gateway) == "ready\n");
        await ServesAsync(gateway, end);
    }

    private string[] PayloadFiles() => Directory.GetFiles(cluster.Payloads, "*", SearchOption.AllDirectories);

    private async Task<GatewayProcess> StartAsync()
    {
        var gateway = await cluster.StartAsync();
        await ServesAsync(gateway, "at the start");
        return gateway;
    }

    /// <summary>Drives the request paths until Redis has answered with one of these errors, or for two passes where only rare work meets the fault.</summary>
    private async Task MeetAsync(GatewayProcess gateway, string what, params string[] errors)
    {
        var before = await CountAsync(errors);
        var since = TimeProvider.System.GetTimestamp();
        do
        {
            using var submitted = await new Jobs(gateway).PostAsync("run", Jobs.Body(1));
            // An answer in any case, and never an unexplained one.
            Assert.True((int)submitted.StatusCode is 200 or 503, $"{what}: {(int)submitted.StatusCode} {await submitted.Content.ReadAsStringAsync()}");
            Assert.False(gateway.Process.HasExited, $"{what}: {gateway.Process.Output}");
        }
        while (await CountAsync(errors) < before + 3 && TimeProvider.System.GetElapsedTime(since) < TwoPasses);
    }

    private static async Task ServesAsync(GatewayProcess gateway, string when)
    {
        Assert.False(gateway.Process.HasExited, $"{when}: {gateway.Process.Output}");
        await Eventually.HoldsAsync(async () =>
        {
            using var answer = await new Jobs(gateway).PostAsync("runsync?wait=5000", Jobs.Body(1));
            return answer.IsSuccessStatusCode && (await answer.Content.ReadAsStringAsync()).Contains("COMPLETED", StringComparison.Ordinal);
        }, $"a job is run {when}; {gateway.Process.Output[^Math.Min(3000, gateway.Process.Output.Length)..]}");
    }

    private static async Task<string> ReadyAsync(GatewayProcess gateway)
    {
        using var answer = await gateway.Client.GetAsync(new Uri("/readyz", UriKind.Relative));
        return await answer.Content.ReadAsStringAsync();
    }

    /// <summary>The commands that the gateway has used so far, without those of connections and of this test.</summary>
    private async Task<List<string>> UsedCommandsAsync()
    {
        string[] others =
            ["acl", "auth", "info", "config", "hello", "client|setname", "client|id", "command", "cluster"];
        return
        [
            .. (await InfoAsync("commandstats")).Select(l => CommandName().Match(l).Groups[1].Value)
                .Where(c => c.Length > 0).Except(others).Order(),
        ];
    }

    private async Task<long> CountAsync(string[] errors) => (await InfoAsync("errorstats")).Select(l => ErrorCount().Match(l))
        .Where(m => m.Success && errors.Contains(m.Groups[1].Value)).Sum(m => long.Parse(m.Groups[2].Value, System.Globalization.CultureInfo.InvariantCulture));

    private async Task<string[]> InfoAsync(string section) => ((string)(await Db.ExecuteAsync("INFO", section))!).Split("\r\n");

    private Task<RedisResult> ExecuteAsync(string command) => Db.ExecuteAsync(command.Split(' ')[0], [.. command.Split(' ')[1..]]);

    /// <summary>The first byte of a dump is the type; 0 is a string (redis/src/rdb.h).</summary>
    private static bool IsString(byte[]? dump) => dump is [0, ..];

    /// <summary>All of them for the whole matrix; else those that loops use most.</summary>
    private static List<string> Part(List<string> all, string[] first) => FaultMatrix.Whole ? [.. first.Concat(all).Distinct()] : [.. first.Take(Some)];

    [GeneratedRegex("^cmdstat_([^:]+):")]
    private static partial Regex CommandName();

    [GeneratedRegex("^errorstat_([A-Z]+):count=([0-9]+)")]
    private static partial Regex ErrorCount();
}

using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Domain.Jobs;
using Sluice.Storage.Embedded;
using Sluice.Storage.Jobs;
using Sluice.Storage.Redis;
using Sluice.Storage.Tests.Jobs;
using Sluice.Testing;
using StackExchange.Redis;

namespace Sluice.Storage.Tests.Redis;

/// <summary>The Redis that the gateway starts as a child process.</summary>
public sealed class EmbeddedRedisTest : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-embedded-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public async Task Acknowledged_writes_survive_a_kill_of_Redis_and_a_restart_of_its_parent()
    {
        using (var redis = new EmbeddedRedis(folder, NullLogger<EmbeddedRedis>.Instance))
        {
            await redis.StartAsync();
            using var connection = await ConnectAsync(redis);
            await connection.GetDatabase().StringSetAsync("kept", "yes");
            var first = redis.ProcessId;
            ChildProcess.Signal(first, ChildProcess.Sigkill);
            await ChildProcess.GoneAsync(first);
            Assert.Equal("yes", await ReadAsync(connection));
            Assert.NotEqual(first, redis.ProcessId);
            await connection.CloseAsync(allowCommandsToComplete: false);
        }

        using var again = new EmbeddedRedis(folder, NullLogger<EmbeddedRedis>.Instance);
        await again.StartAsync();
        using var second = await ConnectAsync(again);
        Assert.Equal("yes", await ReadAsync(second));
        await second.CloseAsync(allowCommandsToComplete: false);
    }

    [Fact]
    public async Task A_port_that_is_in_use_at_the_start_is_replaced_by_another_one()
    {
        using var taken = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        taken.Start();
        using var redis = new EmbeddedRedis(
            folder,
            NullLogger<EmbeddedRedis>.Instance,
            ((System.Net.IPEndPoint)taken.LocalEndpoint).Port);
        await redis.StartAsync();
        using var connection = await ConnectAsync(redis);
        Assert.True(await connection.GetDatabase().StringSetAsync("key", "value"));
        await connection.CloseAsync(allowCommandsToComplete: false);
    }

    [Fact]
    public async Task The_log_is_written_before_a_reply_and_synced_by_the_parent()
    {
        using var redis = new EmbeddedRedis(folder, NullLogger<EmbeddedRedis>.Instance);
        await redis.StartAsync();
        using var connection = await ConnectAsync(redis);
        var setting = (RedisResult[])(await connection.GetDatabase().ExecuteAsync("CONFIG", "GET", "appendfsync"))!;
        Assert.Equal("no", (string?)setting[1]);
        using var sync = new LogSync(folder, NullLogger.Instance);
        await Eventually.HoldsAsync(() => sync.Synced > 0);
        await connection.CloseAsync(allowCommandsToComplete: false);
    }

    [Fact]
    public async Task Each_job_that_is_acknowledged_while_the_disk_fills_survives_a_kill()
    {
        Require.Available(SmallDisk.WhyNot);
        using var disk = new SmallDisk("48m");
        using var redis = new EmbeddedRedis(disk.Folder, NullLogger<EmbeddedRedis>.Instance);
        await redis.StartAsync();
        using var connection = await ConnectAsync(redis);
        var store = new JobStore(
            new RedisStore(connection, () => redis.DiskIsFull),
            new PayloadStore(new RedisStore(connection), folder));
        await Eventually.HoldsAsync(() => redis.HasReserve, "space for the log is reserved");
        disk.Fill();
        var (acknowledged, input) = (new List<string>(), new byte[200_000]);
        Array.Fill(input, (byte)'1');
        while (true)
        {
            var id = $"job-{acknowledged.Count}";
            try
            {
                await store.SubmitAsync(JobStoreTest.Job("e", id) with { Input = input }, default);
                acknowledged.Add(id);
            }
            catch (Exception e) when (RedisFaults.Classify(e) == RedisFault.DiskFull)
            {
                break;
            }
        }

        var first = redis.ProcessId;
        ChildProcess.Signal(first, ChildProcess.Sigkill);
        await ChildProcess.GoneAsync(first);
        disk.Free();
        foreach (var id in acknowledged)
            await Eventually.HoldsAsync(
                async () => await HasAsync(store, id),
                $"{id} of {acknowledged.Count} acknowledged jobs");
        await Eventually.HoldsAsync(() => !redis.DiskIsFull, "the disk has space again");
        await store.SubmitAsync(JobStoreTest.Job("e", "after") with { Input = input }, default);
        await connection.CloseAsync(allowCommandsToComplete: false);
    }

    [Fact]
    public async Task A_password_is_required_and_is_in_no_argument_list()
    {
        using var redis = new EmbeddedRedis(folder, NullLogger<EmbeddedRedis>.Instance);
        await redis.StartAsync();
        var password = redis.ConnectionString.Split("password=")[1];
        Assert.DoesNotContain(
            password,
            await File.ReadAllTextAsync($"/proc/{redis.ProcessId}/cmdline"),
            StringComparison.Ordinal);
        using var stranger = await ConnectionMultiplexer.ConnectAsync(
            redis.ConnectionString.Split(',')[0] + ",abortConnect=false,connectTimeout=2000");
        await Assert.ThrowsAnyAsync<Exception>(() => stranger.GetDatabase().PingAsync());
        await stranger.CloseAsync(allowCommandsToComplete: false);
    }

    [Fact]
    public async Task An_unusable_folder_is_reported_with_the_output_of_Redis()
    {
        await File.WriteAllTextAsync(Path.Combine(folder, "appendonlydir"), "in the way");
        using var redis = new EmbeddedRedis(folder, NullLogger<EmbeddedRedis>.Instance);
        var e = await Assert.ThrowsAsync<InvalidOperationException>(redis.StartAsync);
        Assert.Contains("redis-server did not start", e.Message, StringComparison.Ordinal);
    }

    private static Task<ConnectionMultiplexer> ConnectAsync(EmbeddedRedis redis) =>
        ConnectionMultiplexer.ConnectAsync(redis.ConnectionString + ",abortConnect=false,connectTimeout=5000,allowAdmin=true");

    private static async Task<bool> HasAsync(JobStore store, string id)
    {
        try
        {
            var job = await store.LookAsync("e", id, null, default);
            Assert.NotNull(job);
            return true;
        }
        catch (Exception e) when (RedisErrors.Is(e))
        {
            return false;
        }
    }

    /// <summary>Polls until the server is available again.</summary>
    private static async Task<string?> ReadAsync(ConnectionMultiplexer connection)
    {
        string? kept = null;
        await Eventually.HoldsAsync(async () =>
        {
            try
            {
                kept = await connection.GetDatabase().StringGetAsync("kept");
                return true;
            }
            catch (Exception e) when (RedisErrors.Is(e))
            {
                return false;
            }
        }, "Redis responds");
        return kept;
    }
}

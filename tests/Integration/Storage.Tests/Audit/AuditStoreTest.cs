using System.Text.Json.Nodes;
using Sluice.Storage.Audit;
using Sluice.Testing;

namespace Sluice.Storage.Tests.Audit;

/// <summary>Tests that the audit log is bounded, and what an entry keeps.</summary>
public sealed class AuditStoreTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    private static readonly DateTimeOffset Now = new(2026, 11, 30, 0, 0, 0, TimeSpan.Zero);

    private readonly AuditStore store = new(redis.Store);

    [Fact]
    public async Task Refused_logins_are_bounded_and_displace_no_change()
    {
        await redis.Store.Database.KeyDeleteAsync("sluice:{audit}:changes");
        await store.AddAsync(Entry(new JsonObject { ["a"] = 1 }), default);
        await Task.WhenAll(Enumerable.Range(0, AuditStore.MaxRefusals + 50).Select(i => store.AddAsync(
            new RefusedLogin { At = Now, From = "192.0.2.1", Reason = "unknown", Count = i }, default)));

        Assert.Equal(AuditStore.MaxRefusals, await redis.Store.Database.StreamLengthAsync("sluice:{audit}:refused"));
        var newest = Assert.Single(await store.ReadRefusalsAsync(new AuditRange(1), default));
        Assert.Equal(AuditStore.MaxRefusals + 49, newest.Count);
        var change = Assert.Single(await store.ReadChangesAsync(new AuditRange(10), default));
        Assert.Equal("""{"a":1}""", change.After!.ToJsonString());
    }

    [Fact]
    public async Task Changes_are_bounded_and_a_large_one_is_cut()
    {
        await redis.Store.Database.KeyDeleteAsync("sluice:{audit}:changes");
        await store.AddAsync(Entry(new JsonObject { ["a"] = new string('x', 2 * AuditStore.MaxSide) }), default);
        var large = Assert.Single(await store.ReadChangesAsync(new AuditRange(10), default)).After!;
        Assert.Equal((AuditStore.MaxSide, (2 * AuditStore.MaxSide) + 8),
            (((string)large["cut"]!).Length, (int)large["characters"]!));

        await Task.WhenAll(Enumerable.Range(0, AuditStore.MaxEntries).Select(i => store.AddAsync(
            Entry(new JsonObject { ["a"] = i }), default)));

        Assert.Equal(AuditStore.MaxEntries, await redis.Store.Database.StreamLengthAsync("sluice:{audit}:changes"));
        var oldest = (await store.ReadChangesAsync(new AuditRange(AuditStore.MaxEntries + 1), default))[^1];
        Assert.Equal(0, (int)oldest.After!["a"]!);
    }

    [Theory]
    [InlineData("""{"a":1,"b":{"c":2,"d":[1]}}""", """{"a":1,"b":{"c":3,"d":[1]}}""", """{"b":{"c":2}}""",
        """{"b":{"c":3}}""")]
    [InlineData("""{"a":1}""", """{"b":null}""", """{"a":1}""", """{"b":null}""")]
    [InlineData("""{"a":{"b":1}}""", """{"a":[1]}""", """{"a":{"b":1}}""", """{"a":[1]}""")]
    [InlineData("""{"a":[1,2]}""", """{"a":[1,3]}""", """{"a":[1,2]}""", """{"a":[1,3]}""")]
    [InlineData("""{"a":1}""", """{"a":1}""", "{}", "{}")]
    [InlineData("null", """{"a":1}""", "null", """{"a":1}""")]
    [InlineData("""{"a":1}""", "null", """{"a":1}""", "null")]
    public void Only_the_members_that_differ_are_kept(string before, string after, string old, string now)
    {
        var (a, b) = JsonDifference.Between(
            JsonNode.Parse(before)?.AsObject(), JsonNode.Parse(after)?.AsObject());
        Assert.Equal((old, now), (a?.ToJsonString() ?? "null", b?.ToJsonString() ?? "null"));
    }

    private static AuditEntry Entry(JsonObject after) =>
        new() { At = Now, Actor = "key", Action = "PUT /a", Target = "/a", After = after };
}

using System.Security.Cryptography;
using System.Text.Json;
using Sluice.Domain.Declarations;
using Sluice.Domain.UserPods;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.UserPods;

/// <summary>
/// Stores pods of users in Redis. The declaration, which users change, and the observed state, which the controller of
/// the pod's node changes, are separate records. When Redis is unavailable, methods throw the exceptions that
/// <see cref="RedisErrors"/> identifies.
/// </summary>
/// <param name="redis">The shared connection.</param>
/// <param name="token">Identifies this gateway as a controller; unique over restarts.</param>
public sealed class UserPodStore(RedisStore redis, string token)
{
    /// <summary>The pub/sub channel for changes.</summary>
    public const string Channel = "sluice:userpods";

    /// <summary>Duration of the control of a node. A controller renews it once a second.</summary>
    public static readonly TimeSpan Lease = TimeSpan.FromSeconds(5);

    /// <summary>Maximum number of pods, terminated ones that are still stored included.</summary>
    private const int MostPods = 5000;

    /// <summary>Events of a pod that are stored.</summary>
    private const int KeptEvents = 200;

    private static readonly Script Declare = Script.Load("user-pod-declare");
    private static readonly Script Observe = Script.Load("user-pod-observe");
    private static readonly Script Assign = Script.Load("user-pod-assign");
    private static readonly Script Forget = Script.Load("user-pod-forget");
    private static readonly Script List = Script.Load("user-pod-list");
    private static readonly Script LeaseLua = Script.Load("user-pod-lease");
    private static readonly Script Active = Script.Load("user-pod-active");
    private static readonly Script Use = Script.Load("user-pod-use");

    private static readonly RedisKey Declared = "sluice:{userpods}:declared";
    private static readonly RedisKey Observed = "sluice:{userpods}:observed";
    private static readonly RedisKey Assigned = "sluice:{userpods}:assigned";
    private static readonly RedisKey Activity = "sluice:{userpods}:active";
    private static readonly RedisKey Used = "sluice:{userpods}:used";
    private static readonly RedisKey Version = "sluice:{userpods}:version";
    private static readonly RedisKey Secret = "sluice:{userpods}:secret";
    private static readonly RedisKey Installation = "sluice:{userpods}:installation";

    /// <summary>Creates a pod.</summary>
    public Task<UserPodChange> CreateAsync(UserPod pod, CancellationToken ct) => WriteAsync("", pod, ct);

    /// <summary>Stores a changed pod, unless it was changed since it was read.</summary>
    public Task<UserPodChange> ChangeAsync(UserPod pod, CancellationToken ct) => WriteAsync(pod.Revision, pod, ct);

    /// <summary>Changes the goal of a pod, unless it was changed since it was read.</summary>
    /// <param name="podId">The pod.</param>
    /// <param name="revision">The revision that was read.</param>
    /// <param name="goal">The new goal.</param>
    /// <param name="cause">Why.</param>
    /// <param name="ct">Cancels the call.</param>
    public async Task<UserPodChange> ChangeGoalAsync(
        string podId, string revision, UserPodGoal goal, string cause, CancellationToken ct)
    {
        // The caller's pod may have filled placeholders, so the stored one is changed.
        if ((string?)await redis.Database.HashGetAsync(Declared, podId).WaitAsync(ct) is not { } stored)
            return UserPodChange.Missing;
        var pod = Entry(stored, null, null).Pod;
        return pod.Revision != revision
            ? UserPodChange.Conflict : await ChangeAsync(pod with { Goal = goal, Cause = cause }, ct);
    }

    /// <summary>Returns all pods; null if the version is the caller's.</summary>
    /// <param name="known">The version that the caller has; null: none.</param>
    /// <param name="ct">Cancels the call.</param>
    public async Task<(string Version, IReadOnlyList<UserPodEntry> Pods)?> ReadAsync(
        string? known, CancellationToken ct)
    {
        var reply = await List.RunAsync(redis.Database, [Version, Declared, Observed, Assigned], [known ?? "-"])
            .WaitAsync(ct);
        var items = reply.Items();
        if (items.Length == 1) return null;
        var observed = items[2].Texts().Chunk(2).ToDictionary(p => p[0], p => p[1]);
        var assigned = items[3].Texts().Chunk(2).ToDictionary(p => p[0], p => p[1]);
        var pods = items[1].Texts().Chunk(2)
            .Select(p => Entry(p[1], observed.GetValueOrDefault(p[0]), assigned.GetValueOrDefault(p[0])))
            .OrderBy(e => e.Pod.CreatedAt).ThenBy(e => e.Pod.Id, StringComparer.Ordinal)
            .ToList();
        return (items[0].Text(), pods);
    }

    /// <summary>Acquires or renews the control of a node's pods. Returns false if another gateway has it.</summary>
    public async Task<bool> RenewAsync(string node, CancellationToken ct) =>
        (int)await LeaseLua.RunAsync(redis.Database, [LeaseOf(node)], [token, (long)Lease.TotalMilliseconds])
            .WaitAsync(ct) == 1;

    /// <summary>Gives up the control of a node's pods, so that another gateway has it immediately.</summary>
    public Task ReleaseAsync(string node) => LeaseLua.RunAsync(redis.Database, [LeaseOf(node)], [token, 0]);

    /// <summary>Returns whether any gateway controls the pods of a node.</summary>
    public async Task<bool> IsControlledAsync(string node, CancellationToken ct) =>
        await redis.Database.KeyExistsAsync(LeaseOf(node)).WaitAsync(ct);

    /// <summary>Stores what the controller observed. Returns false if it is not the controller any more.</summary>
    /// <param name="node">The node.</param>
    /// <param name="podId">The pod.</param>
    /// <param name="state">The state; null: only the event is stored.</param>
    /// <param name="note">An event for its log; null: none.</param>
    /// <param name="ct">Cancels the call.</param>
    public async Task<bool> ObserveAsync(
        string node, string podId, UserPodState? state, UserPodEvent? note, CancellationToken ct)
    {
        var json = state is null ? "" : DeclarationSerializer.Write(state, UserPodJson.State);
        var text = note is null ? "" : JsonSerializer.Serialize(note, UserPodStoreJson.Default.UserPodEvent);
        return (int)await Observe.RunAsync(
            redis.Database,
            [LeaseOf(node), Declared, Observed, Version, EventsOf(podId)],
            [token, podId, json, text, NewVersion(), KeptEvents]).WaitAsync(ct) == 1;
    }

    /// <summary>
    /// Assigns a pod to a node. Returns the node that it is assigned to, or null if this gateway does not control the
    /// node.
    /// </summary>
    public async Task<string?> AssignAsync(string node, string podId, CancellationToken ct)
    {
        var reply = await Assign.RunAsync(redis.Database, [LeaseOf(node), Declared, Assigned, Version],
            [token, podId, node, NewVersion()]).WaitAsync(ct);
        return reply.Text() is { Length: > 0 } assigned ? assigned : null;
    }

    /// <summary>Deletes the records of a terminated pod.</summary>
    public Task ForgetAsync(string node, UserPod pod, CancellationToken ct) => Forget.RunAsync(
        redis.Database,
        [LeaseOf(node), Declared, Observed, Assigned, Activity, Version, EventsOf(pod.Id), Used],
        [token, pod.Id, pod.Revision, NewVersion()]).WaitAsync(ct);

    /// <summary>Records the last activity of pods.</summary>
    public Task RecordActivityAsync(
        IReadOnlyCollection<(string PodId, DateTimeOffset At)> pods, CancellationToken ct) =>
        Active.RunAsync(redis.Database, [Activity, Declared],
            [.. pods.SelectMany(p => new RedisValue[] { p.PodId, p.At.ToUnixTimeMilliseconds() })]).WaitAsync(ct);

    /// <summary>Returns the last activity of each pod that has one.</summary>
    public async Task<IReadOnlyDictionary<string, DateTimeOffset>> ReadActivityAsync(CancellationToken ct) =>
        (await redis.Database.HashGetAllAsync(Activity).WaitAsync(ct)).ToDictionary(
            e => (string)e.Name!,
            e => DateTimeOffset.FromUnixTimeMilliseconds((long)e.Value));

    /// <summary>Records what pods use.</summary>
    public Task RecordUtilizationAsync(
        IReadOnlyCollection<(string PodId, UserPodUtilization Used)> pods, CancellationToken ct) =>
        Use.RunAsync(redis.Database, [Used, Declared],
            [.. pods.SelectMany(p => new RedisValue[]
            {
                p.PodId, JsonSerializer.Serialize(p.Used, UserPodStoreJson.Default.UserPodUtilization),
            })]).WaitAsync(ct);

    /// <summary>Returns the last measurement of each of some pods that has one.</summary>
    public async Task<IReadOnlyDictionary<string, UserPodUtilization>> ReadUtilizationAsync(
        IReadOnlyList<string> podIds, CancellationToken ct)
    {
        if (podIds.Count == 0) return new Dictionary<string, UserPodUtilization>();
        var values = await redis.Database.HashGetAsync(Used, [.. podIds.Select(id => (RedisValue)id)]).WaitAsync(ct);
        return podIds.Zip(values).Where(p => p.Second.HasValue).ToDictionary(
            p => p.First,
            p => JsonSerializer.Deserialize((string)p.Second!, UserPodStoreJson.Default.UserPodUtilization)!);
    }

    /// <summary>Returns the events of a pod, the oldest first.</summary>
    public async Task<IReadOnlyList<UserPodEvent>> ReadEventsAsync(string podId, CancellationToken ct)
    {
        var events = await redis.Database.ListRangeAsync(EventsOf(podId)).WaitAsync(ct);
        return
        [
            .. events.Reverse().Select(e =>
                JsonSerializer.Deserialize((string)e!, UserPodStoreJson.Default.UserPodEvent)!),
        ];
    }

    /// <summary>Returns the secret that signs cookies, which all gateways share; 32 random bytes.</summary>
    public async Task<byte[]> ReadSecretAsync(CancellationToken ct) =>
        Convert.FromHexString(await FirstAsync(Secret, Random(), ct));

    /// <summary>Returns the id of this Redis, which marks the containers of its pods.</summary>
    public Task<string> ReadInstallationAsync(CancellationToken ct) => FirstAsync(Installation, Random()[..16], ct);

    private async Task<UserPodChange> WriteAsync(string expected, UserPod pod, CancellationToken ct)
    {
        redis.RequireDisk();
        var json = DeclarationSerializer.Write(pod with { Revision = "" }, UserPodJson.Pod);
        var reply = await Declare.RunAsync(redis.Database, [Declared, Version],
            [pod.Id, expected, NewVersion(), json, MostPods]).WaitAsync(ct);
        return reply.Text() switch
        {
            "ok" => UserPodChange.Stored,
            "missing" => UserPodChange.Missing,
            "full" => UserPodChange.Full,
            _ => UserPodChange.Conflict,
        };
    }

    /// <summary>Stores a value if there is none, and returns the stored one.</summary>
    private async Task<string> FirstAsync(RedisKey key, string value, CancellationToken ct)
    {
        await ReservedWrite.RunAsync(redis.Database, key, "SET", value, "NX").WaitAsync(ct);
        return (string)(await redis.Database.StringGetAsync(key).WaitAsync(ct))!;
    }

    private static UserPodEntry Entry(string declared, string? observed, string? node)
    {
        var end = declared.IndexOf('\n', StringComparison.Ordinal);
        var pod = JsonSerializer.Deserialize(declared[(end + 1)..], UserPodJson.Pod)!;
        var state = observed is null ? new UserPodState() : JsonSerializer.Deserialize(observed, UserPodJson.State)!;
        return new UserPodEntry(pod with { Revision = declared[..end] }, state, node);
    }

    private static RedisKey LeaseOf(string node) => $"sluice:{{userpods}}:lease:{node}";

    private static RedisKey EventsOf(string podId) => $"sluice:{{userpods}}:events:{podId}";

    private static string NewVersion() => Guid.NewGuid().ToString("N");

    private static string Random() => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32));
}

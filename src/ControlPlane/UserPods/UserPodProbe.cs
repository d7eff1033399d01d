using System.Globalization;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Domain.Declarations;
using Sluice.Domain.UserPods;
using Sluice.Hosting.UserPods;

namespace Sluice.ControlPlane.UserPods;

/// <summary>
/// Asks the program of a pod over HTTP whether it responds, and when it was last used. Its answers are data: no
/// redirects, a limit of bytes, a limit of time.
/// </summary>
internal sealed class UserPodProbe(TimeProvider time) : IDisposable
{
    private static readonly TimeSpan AnswerWithin = TimeSpan.FromSeconds(3);

    /// <summary>Maximum bytes of an answer about activity.</summary>
    private const int MaxAnswer = 1 << 20;

    private readonly HttpClient client = new(new SocketsHttpHandler
    {
        UseProxy = false,
        AllowAutoRedirect = false,
        UseCookies = false,
        ConnectTimeout = AnswerWithin,
    })
    {
        Timeout = AnswerWithin,
        MaxResponseContentBufferSize = MaxAnswer,
    };

    /// <summary>Whether the first HTTP port of a pod responds, with any status.</summary>
    public async Task<bool> RespondsAsync(UserPod pod, UserPodState state, CancellationToken ct)
    {
        if (Find(pod, state, "") is not { } uri) return false;
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, uri);
            using var answer = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, ct);
            return true;
        }
        catch (Exception e) when (IsFailure(e, ct))
        {
            return false;
        }
    }

    /// <summary>
    /// Returns when the application of a pod was last used; null: its answer does not contain it, or it does not
    /// respond.
    /// </summary>
    /// <param name="pod">The pod, with filled placeholders.</param>
    /// <param name="state">Its state, with its addresses.</param>
    /// <param name="path">The path of the application, which begins and ends with a slash.</param>
    /// <param name="ct">Cancels the call.</param>
    public async Task<DateTimeOffset?> ReadActivityAsync(
        UserPod pod, UserPodState state, string path, CancellationToken ct)
    {
        try
        {
            var at = pod.Spec.Application switch
            {
                PodApplication.Jupyter => await ReadJupyterAsync(pod, state, path, ct),
                PodApplication.CodeServer => await ReadCodeServerAsync(pod, state, path, ct),
                _ => null,
            };
            // A program may report any time. One in the future would keep its pod up, and the end of time has no later
            // time at which an idle pod is stopped.
            var now = time.GetUtcNow();
            return at > now ? now : at;
        }
        catch (Exception e) when (IsFailure(e, ct))
        {
            return null;
        }
    }

    public void Dispose() => client.Dispose();

    /// <summary>
    /// The latest activity of kernels and terminals. A busy kernel is active now. Source: Jupyter Server's REST API,
    /// <c>last_activity</c> and <c>execution_state</c>.
    /// </summary>
    private async Task<DateTimeOffset?> ReadJupyterAsync(
        UserPod pod, UserPodState state, string path, CancellationToken ct)
    {
        var token = UserPodEnvironment.TokenOf(pod);
        var kernels = await GetAsync(pod, state, path + "api/kernels", token, ct) as JsonArray;
        var terminals = await GetAsync(pod, state, path + "api/terminals", token, ct) as JsonArray;
        if (kernels is null) return null;
        if (kernels.Any(k => Text(k?["execution_state"]) == "busy")) return time.GetUtcNow();
        return kernels.Concat(terminals ?? []).Select(k => Time(Text(k?["last_activity"]))).Max();
    }

    /// <summary>Source: code-server, <c>/healthz</c>: <c>lastHeartbeat</c> in ms.</summary>
    private async Task<DateTimeOffset?> ReadCodeServerAsync(
        UserPod pod, UserPodState state, string path, CancellationToken ct)
    {
        var health = await GetAsync(pod, state, path + "healthz", null, ct);
        return health?["lastHeartbeat"] is JsonValue value && value.TryGetValue<double>(out var ms)
            && ms is > 0 and < 253402300799999
            ? DateTimeOffset.FromUnixTimeMilliseconds((long)ms) : null;
    }

    private async Task<JsonNode?> GetAsync(
        UserPod pod, UserPodState state, string path, string? token, CancellationToken ct)
    {
        if (Find(pod, state, path) is not { } uri) return null;
        using var request = new HttpRequestMessage(HttpMethod.Get, uri);
        if (token is not null) request.Headers.Authorization = new AuthenticationHeaderValue("token", token);
        using var answer = await client.SendAsync(request, ct);
        return answer.IsSuccessStatusCode ? JsonNode.Parse(await answer.Content.ReadAsStringAsync(ct)) : null;
    }

    private static Uri? Find(UserPod pod, UserPodState state, string path) =>
        state.Addresses.FirstOrDefault(a => a.Port == pod.Spec.FirstHttpPort) is { } address
            ? new UriBuilder("http", address.Host, address.Number, path).Uri : null;

    private static string? Text(JsonNode? node) =>
        node is JsonValue value && value.TryGetValue<string>(out var text) ? text : null;

    private static DateTimeOffset? Time(string? text) => DateTimeOffset.TryParse(
        text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at) ? at : null;

    private static bool IsFailure(Exception e, CancellationToken ct) =>
        e is HttpRequestException or IOException or JsonException or InvalidOperationException
        || (e is OperationCanceledException && !ct.IsCancellationRequested);
}

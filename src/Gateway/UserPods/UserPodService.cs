using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Sluice.Domain.Declarations;
using Sluice.Domain.UserPods;
using Sluice.Gateway.Authentication;
using Sluice.Storage.Catalog;
using Sluice.Storage.UserPods;

namespace Sluice.Gateway.UserPods;

/// <summary>
/// Creates and changes pods for both APIs, Sluice's own and RunPod's. Each method returns the pod as it is stored, or
/// the reason of the refusal.
/// </summary>
public sealed class UserPodService(
    UserPodStore store, UserPodCatalog pods, CatalogWatcher catalog, TimeProvider time)
{
    private const int IdLength = 14;

    /// <summary>
    /// Maximum size of a pod's fields, in characters. Records of pods are written even if Redis is at its limit.
    /// </summary>
    private const int MaxSpec = 64 << 10;

    /// <summary>Attempts to store a change while others change the same pod.</summary>
    private const int MostAttempts = 20;

    /// <summary>Creates a pod.</summary>
    /// <param name="fields">The fields of the request. Those of its template are added.</param>
    /// <param name="caller">Its owner.</param>
    /// <param name="stopAt">When it is stopped; null: never.</param>
    /// <param name="terminateAt">When it is terminated; null: as <c>terminateAfter</c> says.</param>
    /// <param name="ct">Cancels the call.</param>
    public async Task<UserPodResult> CreateAsync(
        JsonObject fields, Caller caller, DateTimeOffset? stopAt, DateTimeOffset? terminateAt, CancellationToken ct)
    {
        var errors = new List<FieldError>();
        if (AddTemplate(fields, [], errors) is not { } merged || Read(merged, errors) is not { } spec)
            return UserPodResult.Invalid(errors);
        var now = time.GetUtcNow();
        var pod = new UserPod
        {
            // A letter comes first: the id is part of a host name, and of the names of containers.
            Id = RandomNumberGenerator.GetString("abcdefghijklmnopqrstuvwxyz", 1)
                + RandomNumberGenerator.GetString("abcdefghijklmnopqrstuvwxyz0123456789", IdLength - 1),
            Spec = spec,
            Owner = caller.KeyId,
            CreatedAt = now,
            StopAt = stopAt,
            TerminateAt = terminateAt ?? (spec.TerminateAfter > TimeSpan.Zero ? now + spec.TerminateAfter : null),
            Secret = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(24)),
        };
        if (await store.CreateAsync(pod, ct) == UserPodChange.Full)
            return UserPodResult.Refused(StatusCodes.Status429TooManyRequests,
                "The maximum number of pods exists. Terminate pods that are not needed.");
        await pods.RefreshAsync(ct);
        return UserPodResult.Done(pods.Find(pod.Id) ?? new UserPodEntry(pod, new UserPodState(), null));
    }

    /// <summary>Changes fields of a pod.</summary>
    /// <param name="id">The pod.</param>
    /// <param name="fields">The fields that change.</param>
    /// <param name="locked">Whether it becomes locked; null: unchanged.</param>
    /// <param name="ct">Cancels the call.</param>
    public Task<UserPodResult> ChangeAsync(string id, JsonObject fields, bool? locked, CancellationToken ct) =>
        UpdateAsync(id, entry =>
        {
            var errors = new List<FieldError>();
            var pod = entry.Pod;
            if (AddTemplate(fields, UserPodMerge.FieldsOf(pod.Spec), errors) is not { } merged
                || Read(merged, errors) is not { } spec) return (null, UserPodResult.Invalid(errors));
            var terminateAt = spec.TerminateAfter == pod.Spec.TerminateAfter ? pod.TerminateAt
                : spec.TerminateAfter > TimeSpan.Zero ? pod.CreatedAt + spec.TerminateAfter : null;
            return (pod with { Spec = spec, Locked = locked ?? pod.Locked, TerminateAt = terminateAt }, null);
        }, ct);

    /// <summary>Does an action of <see cref="UserPodActions"/>.</summary>
    public Task<UserPodResult> ActAsync(string id, string action, CancellationToken ct) => UpdateAsync(id, entry =>
    {
        var valid = UserPodActions.ValidFor(entry.Pod, entry.State);
        if (valid.Contains(action)) return (UserPodActions.Apply(entry.Pod, action), null);
        var status = UserPodActions.StatusOf(entry.Pod, entry.State).ToString().ToUpperInvariant();
        var locked = entry.Pod.Locked ? " and locked" : "";
        return (null, UserPodResult.Refused(StatusCodes.Status409Conflict,
            $"action is '{action}', and pod '{id}' is {status}{locked}; expected "
            + (valid.Count > 0 ? $"{string.Join(", ", valid)}." : "no action.")));
    }, ct);

    private async Task<UserPodResult> UpdateAsync(
        string id, Func<UserPodEntry, (UserPod? Changed, UserPodResult? Refusal)> change, CancellationToken ct)
    {
        for (var attempt = 0; attempt < MostAttempts; attempt++)
        {
            if (await pods.FindAsync(id, ct) is not { Pod.Goal: not UserPodGoal.Terminated } entry)
                return UserPodResult.NotFound(id);
            var (changed, refusal) = change(entry);
            if (changed is null) return refusal!;
            if (changed == entry.Pod) return UserPodResult.Done(entry) with { Before = entry };
            var stored = await store.ChangeAsync(changed, ct);
            if (stored == UserPodChange.Missing) return UserPodResult.NotFound(id);
            if (stored == UserPodChange.Conflict) continue;
            await pods.RefreshAsync(ct);
            return UserPodResult.Done(pods.Find(id) ?? entry with { Pod = changed }) with { Before = entry };
        }

        return UserPodResult.Refused(StatusCodes.Status409Conflict,
            $"Pod '{id}' is changed by other requests at the same time. Retry the request.");
    }

    /// <summary>Merges the template that the request names, and then the request, over the fields.</summary>
    private JsonObject? AddTemplate(JsonObject request, JsonObject fields, List<FieldError> errors)
    {
        if (request["template"] is not { } name) return UserPodMerge.Merge(fields, request);
        var text = name is JsonValue value && value.TryGetValue<string>(out var t) ? t : name.ToJsonString();
        if (catalog.Current.Templates.TryGetValue(text, out var template))
            return UserPodMerge.Merge(UserPodMerge.Merge(fields, UserPodMerge.FieldsOf(template)), request);
        var known = catalog.Current.Templates.Keys.Order(StringComparer.Ordinal).ToList();
        errors.Add(new FieldError("template", text, known.Count > 0
            ? $"the name of a template: {string.Join(", ", known)}" : "the name of a template (none is declared)"));
        return null;
    }

    private static UserPodSpec? Read(JsonObject fields, List<FieldError> errors)
    {
        if (DeclarationSerializer.Read(fields, UserPodJson.Spec, "", errors) is not { } spec) return null;
        errors.AddRange(UserPodRules.Check(spec));
        if (fields.ToJsonString().Length is var size and > MaxSpec)
            errors.Add(new FieldError("(all)", $"{size} characters", $"at most {MaxSpec} characters in all fields"));
        return errors.Count == 0 ? spec : null;
    }
}

using Sluice.Domain.Jobs;
using Sluice.Storage.Queueing;

namespace Sluice.Dispatch;

/// <summary>An end of a job that is not stored yet.</summary>
/// <param name="End">The end to store.</param>
/// <param name="Stored">Completes with the result.</param>
/// <param name="Alone">
/// Whether the end must be sent in a call of its own, which claims no jobs: a previous call that included it failed
/// although Redis was available.
/// </param>
internal readonly record struct PendingEnd(JobEnd End, TaskCompletionSource<EndResult> Stored, bool Alone = false);

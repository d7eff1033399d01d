using Sluice.Domain.Declarations;
using Sluice.Storage.UserPods;

namespace Sluice.Gateway.UserPods;

/// <summary>The result of a request about a pod.</summary>
/// <param name="Entry">The pod; null: the request was refused.</param>
/// <param name="Status">The HTTP status of the refusal.</param>
/// <param name="Detail">The reason of the refusal.</param>
/// <param name="Errors">The invalid fields.</param>
public sealed record UserPodResult(
    UserPodEntry? Entry, int Status = 0, string Detail = "", IReadOnlyList<FieldError>? Errors = null)
{
    /// <summary>The pod before the request changed it; null: the request created it.</summary>
    public UserPodEntry? Before { get; init; }

    internal static UserPodResult Done(UserPodEntry entry) => new(entry);

    internal static UserPodResult Refused(int status, string detail) => new(null, status, detail);

    internal static UserPodResult NotFound(string id) =>
        Refused(StatusCodes.Status404NotFound, $"The pod '{id}' does not exist.");

    internal static UserPodResult Invalid(IReadOnlyList<FieldError> errors) =>
        new(null, StatusCodes.Status400BadRequest, string.Join("; ", errors), errors);
}

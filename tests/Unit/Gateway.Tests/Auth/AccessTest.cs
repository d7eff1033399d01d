using Sluice.Domain.Declarations;
using Sluice.Gateway.Authentication;
using Sluice.Storage.Keys;
using Endpoint = Sluice.Domain.Declarations.Endpoint;

namespace Sluice.Gateway.Tests.Auth;

/// <summary>Tests the access decisions as a table.</summary>
public sealed class AccessTest
{
    private static readonly Deployment Private =
        new(new Endpoint { Id = "digits", Template = "t" }, new Template { Name = "t" });
    private static readonly Deployment Public =
        new(new Endpoint { Id = "open", Template = "t", Public = true }, new Template { Name = "t" });
    private static readonly Caller Admin = new("a", "", new KeyScope { Admin = true }, KeyLimits.None);
    private static readonly Caller Everything = new("b", "", new KeyScope { Invoke = ["*"] }, KeyLimits.None);
    private static readonly Caller Digits = new("c", "", new KeyScope { Invoke = ["digits"] }, KeyLimits.None);
    private static readonly Caller Other = new("d", "", new KeyScope { Invoke = ["other"] }, KeyLimits.None);

    private static readonly Caller Reader = new("e", "", new KeyScope { Read = true }, KeyLimits.None);
    private static readonly Caller Scraper = new("f", "", new KeyScope { Metrics = true }, KeyLimits.None);

    public static TheoryData<AccessLevel, string, string, AccessVerdict> Table => new()
    {
        { AccessLevel.Nothing, "none", "", AccessVerdict.Granted },
        { AccessLevel.Nothing, "unknown", "", AccessVerdict.Granted },
        { AccessLevel.AuthenticatedKey, "none", "", AccessVerdict.NotAuthenticated },
        { AccessLevel.AuthenticatedKey, "other", "", AccessVerdict.Granted },
        { AccessLevel.Admin, "none", "", AccessVerdict.NotAuthenticated },
        { AccessLevel.Admin, "unknown", "", AccessVerdict.NotAuthenticated },
        { AccessLevel.Admin, "everything", "", AccessVerdict.Forbidden },
        { AccessLevel.Admin, "admin", "", AccessVerdict.Granted },
        { AccessLevel.Admin, "reader", "", AccessVerdict.Forbidden },
        { AccessLevel.Admin, "scraper", "", AccessVerdict.Forbidden },
        { AccessLevel.Read, "none", "", AccessVerdict.NotAuthenticated },
        { AccessLevel.Read, "admin", "", AccessVerdict.Granted },
        { AccessLevel.Read, "reader", "", AccessVerdict.Granted },
        { AccessLevel.Read, "scraper", "", AccessVerdict.Forbidden },
        { AccessLevel.Read, "everything", "", AccessVerdict.Forbidden },
        { AccessLevel.Metrics, "none", "", AccessVerdict.NotAuthenticated },
        { AccessLevel.Metrics, "admin", "", AccessVerdict.Granted },
        { AccessLevel.Metrics, "reader", "", AccessVerdict.Granted },
        { AccessLevel.Metrics, "scraper", "", AccessVerdict.Granted },
        { AccessLevel.Metrics, "everything", "", AccessVerdict.Forbidden },
        { AccessLevel.Invoke, "reader", "digits", AccessVerdict.Forbidden },
        { AccessLevel.Invoke, "reader", "missing", AccessVerdict.NoEndpoint },
        { AccessLevel.Invoke, "reader", "open", AccessVerdict.Granted },
        { AccessLevel.Invoke, "scraper", "digits", AccessVerdict.Forbidden },
        { AccessLevel.Invoke, "scraper", "missing", AccessVerdict.Forbidden },
        { AccessLevel.ReadJobs, "reader", "digits", AccessVerdict.Granted },
        { AccessLevel.ReadJobs, "reader", "missing", AccessVerdict.NoEndpoint },
        { AccessLevel.ReadJobs, "scraper", "digits", AccessVerdict.Forbidden },
        { AccessLevel.ReadJobs, "digits", "digits", AccessVerdict.Granted },
        { AccessLevel.ReadJobs, "other", "digits", AccessVerdict.Forbidden },
        { AccessLevel.ReadJobs, "none", "open", AccessVerdict.Granted },
        { AccessLevel.ReadJobs, "none", "digits", AccessVerdict.NotAuthenticated },
        { AccessLevel.Invoke, "none", "digits", AccessVerdict.NotAuthenticated },
        { AccessLevel.Invoke, "none", "missing", AccessVerdict.NotAuthenticated },
        { AccessLevel.Invoke, "none", "open", AccessVerdict.Granted },
        { AccessLevel.Invoke, "unknown", "open", AccessVerdict.NotAuthenticated },
        { AccessLevel.Invoke, "other", "open", AccessVerdict.Granted },
        { AccessLevel.Invoke, "unknown", "digits", AccessVerdict.NotAuthenticated },
        { AccessLevel.Invoke, "expired", "digits", AccessVerdict.NotAuthenticated },
        { AccessLevel.Invoke, "digits", "digits", AccessVerdict.Granted },
        { AccessLevel.Invoke, "other", "digits", AccessVerdict.Forbidden },
        { AccessLevel.Invoke, "other", "missing", AccessVerdict.Forbidden },
        { AccessLevel.Invoke, "everything", "digits", AccessVerdict.Granted },
        { AccessLevel.Invoke, "everything", "missing", AccessVerdict.NoEndpoint },
        { AccessLevel.Invoke, "admin", "missing", AccessVerdict.NoEndpoint },
        { AccessLevel.Invoke, "unchecked", "digits", AccessVerdict.CannotCheck },
        { AccessLevel.Invoke, "unchecked", "open", AccessVerdict.CannotCheck },
    };

    [Theory]
    [MemberData(nameof(Table))]
    public void The_decision_follows_the_table(AccessLevel required, string who, string target, AccessVerdict expected)
    {
        var (key, caller) = who switch
        {
            "none" => (KeyVerdict.Missing, null),
            "unknown" => (KeyVerdict.Unknown, null),
            "expired" => (KeyVerdict.Expired, null),
            "unchecked" => (KeyVerdict.CannotCheck, null),
            "admin" => (KeyVerdict.Valid, Admin),
            "everything" => (KeyVerdict.Valid, Everything),
            "digits" => (KeyVerdict.Valid, Digits),
            "reader" => (KeyVerdict.Valid, Reader),
            "scraper" => (KeyVerdict.Valid, Scraper),
            _ => (KeyVerdict.Valid, Other),
        };
        var deployment = target switch { "digits" => Private, "open" => Public, _ => null };

        var (verdict, detail) = Access.Decide(required, key, caller, target, deployment);

        Assert.Equal(expected, verdict);
        Assert.Equal(expected == AccessVerdict.Granted, detail.Length == 0);
    }
}

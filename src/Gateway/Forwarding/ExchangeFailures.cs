using System.Net.Sockets;

namespace Sluice.Gateway.Forwarding;

/// <summary>
/// Classifies the exceptions of <see cref="SocketsHttpHandler"/>. Pure. The exception chains were observed with .NET 10
/// and raw socket servers.
/// </summary>
public static class ExchangeFailures
{
    /// <summary>Classifies an exception of <c>SendAsync</c>, or of a read of the response body.</summary>
    public static ExchangeFailure Classify(Exception? cause)
    {
        var chain = Chain(cause).ToList();
        // HTTP/1.1: the exception itself or an inner HttpIOException. HTTP/2: inside an IOException without an error
        // code.
        var aborted = false;
        foreach (var e in chain)
        {
            var error = ErrorOf(e);
            if (error is HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError)
                return ExchangeFailure.NotConnected;
            // A worker exited during the HTTP/2 handshake: .NET reports the end of its connection as an invalid
            // response.
            if (error is HttpRequestError.InvalidResponse && IsEndOfConnection(chain[^1])) return ExchangeFailure.Lost;
            if (error is HttpRequestError.InvalidResponse or HttpRequestError.ConfigurationLimitExceeded)
                return aborted ? ExchangeFailure.ConnectionInvalid : ExchangeFailure.AnswerInvalid;
            if (error == HttpRequestError.ExtendedConnectNotSupported) return ExchangeFailure.AnswerInvalid;
            if (e is IOException and not HttpIOException) aborted = true;
        }

        if (chain.Count == 0 || chain.Any(IsTransport))
            return aborted && !IsTransport(chain[^1]) ? ExchangeFailure.ConnectionInvalid : ExchangeFailure.Lost;
        return ExchangeFailure.NotSent;
    }

    /// <summary>
    /// Returns whether the gateway cancelled the exchange. A cancelled read of an HTTP/1.1 body throws a socket error.
    /// </summary>
    public static bool IsCancellation(Exception? cause) =>
        Chain(cause).Any(e => e is OperationCanceledException
            or SocketException { SocketErrorCode: SocketError.OperationAborted });

    /// <summary>Returns the message of the innermost exception.</summary>
    public static string Reason(Exception? cause) => Chain(cause).LastOrDefault()?.Message ?? "";

    private static HttpRequestError? ErrorOf(Exception e) => e switch
    {
        HttpRequestException request => request.HttpRequestError,
        HttpIOException io => io.HttpRequestError,
        _ => null,
    };

    private static bool IsEndOfConnection(Exception e) =>
        e is SocketException or HttpIOException { HttpRequestError: HttpRequestError.ResponseEnded };

    private static bool IsTransport(Exception e) =>
        e is IOException or SocketException or ObjectDisposedException or OperationCanceledException or TimeoutException
        || ErrorOf(e) is not (null or HttpRequestError.Unknown);

    private static IEnumerable<Exception> Chain(Exception? cause) => cause switch
    {
        null => [],
        AggregateException all => all.InnerExceptions.SelectMany(Chain),
        _ => Chain(cause.InnerException).Prepend(cause),
    };
}

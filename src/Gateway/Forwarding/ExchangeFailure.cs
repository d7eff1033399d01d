using System.Net.Sockets;

namespace Sluice.Gateway.Forwarding;

/// <summary>How far an exchange with a worker came before it failed.</summary>
public enum ExchangeFailure
{
    /// <summary>No connection: the worker has not seen the request.</summary>
    NotConnected,

    /// <summary>The HTTP client refused the request before it sent a byte.</summary>
    NotSent,

    /// <summary>The connection ended, or the stream was reset, before an answer was complete.</summary>
    Lost,

    /// <summary>The worker answered, and the answer cannot be read: the request was executed.</summary>
    AnswerInvalid,

    /// <summary>
    /// An answer broke the framing of the HTTP/2 connection. The client ends all streams of the connection with the same exception,
    /// so the answer may be that of another request.
    /// </summary>
    ConnectionInvalid,
}

/// <summary>Reads the exceptions of <see cref="SocketsHttpHandler"/>. Pure. The shapes were observed with .NET 10 and raw servers.</summary>
public static class ExchangeFailures
{
    /// <summary>Classifies what <c>SendAsync</c>, or a read of the answer's body, threw.</summary>
    public static ExchangeFailure Of(Exception? cause)
    {
        var chain = Chain(cause).ToList();
        // HTTP/1.1: the exception itself, or an HttpIOException in it. HTTP/2: below an IOException without an error code.
        var aborted = false;
        foreach (var e in chain)
        {
            var error = ErrorOf(e);
            if (error is HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError) return ExchangeFailure.NotConnected;
            // A worker that dies during the HTTP/2 handshake: .NET wraps the end of its connection as an invalid response.
            if (error is HttpRequestError.InvalidResponse && IsEndOfConnection(chain[^1])) return ExchangeFailure.Lost;
            if (error is HttpRequestError.InvalidResponse or HttpRequestError.ConfigurationLimitExceeded)
                return aborted ? ExchangeFailure.ConnectionInvalid : ExchangeFailure.AnswerInvalid;
            if (error == HttpRequestError.ExtendedConnectNotSupported) return ExchangeFailure.AnswerInvalid;
            if (e is IOException and not HttpIOException) aborted = true;
        }

        if (chain.Count == 0 || chain.Any(IsTransport)) return aborted && !IsTransport(chain[^1]) ? ExchangeFailure.ConnectionInvalid : ExchangeFailure.Lost;
        return ExchangeFailure.NotSent;
    }

    /// <summary>Whether the exchange was cancelled on this side. A read of an HTTP/1.1 body shows that as an error of the socket.</summary>
    public static bool IsCancellation(Exception? cause) =>
        Chain(cause).Any(e => e is OperationCanceledException or SocketException { SocketErrorCode: SocketError.OperationAborted });

    /// <summary>The message of the exception that caused the others.</summary>
    public static string Reason(Exception? cause) => Chain(cause).LastOrDefault()?.Message ?? "";

    private static HttpRequestError? ErrorOf(Exception e) => e switch
    {
        HttpRequestException request => request.HttpRequestError,
        HttpIOException io => io.HttpRequestError,
        _ => null,
    };

    private static bool IsEndOfConnection(Exception e) => e is SocketException or HttpIOException { HttpRequestError: HttpRequestError.ResponseEnded };

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
